//! `duplex restore`: replaces a stopped server's log with a backup.

use std::error::Error;
use std::path::PathBuf;

use duplex::server::config::Config;
use duplex_hub::log::sqlite::restore;

use super::output::out;

#[derive(Debug, clap::Args)]
pub struct Restore {
    /// Backup file; it is not changed
    file: PathBuf,

    /// Overwrites an existing log after renaming it
    #[arg(long)]
    force: bool,
}

impl Restore {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let data = config.data.file()?;
        let previous_log = restore(&self.file, data, self.force)?;
        if let Some(previous_log) = previous_log {
            out!("the former log is now {}", previous_log.display())?;
        }
        out!("restored {} from {}", data.display(), self.file.display())?;
        Ok(())
    }
}
