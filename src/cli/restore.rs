//! `duplex restore`: a backup becomes the log of a server that is not running.

use std::error::Error;
use std::path::PathBuf;

use duplex::server::config::Config;
use duplex_hub::log::sqlite::restore;

use super::output::out;

#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The backup; it stays as it is
    file: PathBuf,

    /// Also where there is a log already: that is put aside, under another name
    #[arg(long)]
    force: bool,
}

impl Restore {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let aside = restore(&self.file, &config.data, self.force)?;
        if let Some(aside) = aside {
            out!("what was there is now {}", aside.display())?;
        }
        out!("{} is restored from {}", config.data.display(), self.file.display())?;
        Ok(())
    }
}
