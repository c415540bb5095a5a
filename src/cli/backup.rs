//! `duplex backup`: asks the server for a copy of its log, and keeps it only if it is whole and sound. Another process could not
//! copy the file by itself: the journal belongs to it, and the server alone knows when both are at one.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Request, header};
use duplex::server::config::Config;
use duplex::server::operator::BACKUP_PATH;
use duplex_hub::log::private;
use duplex_hub::log::sqlite::{check, copy_unused, drop_partials, folder, partial, put_new};
use futures_util::StreamExt as _;

use super::output::out;
use super::remote::{Remote, Server};

#[derive(Debug, clap::Args)]
pub struct Backup {
    /// Where the copy goes; a file that is there stays as it is
    file: PathBuf,

    /// Copies the file of --data, of a server that is not running
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("of {expected} bytes only {received} came")]
    Short { expected: u64, received: u64 },
}

impl Backup {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        if self.file.exists() {
            return Err(BackupError::Exists(self.file).into());
        }
        if self.offline {
            copy_unused(&config.data, &self.file)?;
        } else {
            let server = self.remote.server(config)?;
            let folder = folder(&self.file);
            drop_partials(folder, None).map_err(|error| format!("{}: {error}", folder.display()))?;
            let partial = partial(&self.file);
            let kept = super::block_on(download(&server, &partial)).and_then(|()| keep(&partial, &self.file));
            if kept.is_err() {
                let _ = fs::remove_file(&partial);
            }
            kept?;
        }
        let found = check(&self.file)?;
        out!(
            "{}: {} bytes, {} topics",
            self.file.display(),
            found.bytes,
            found.topics
        )?;
        Ok(())
    }
}

async fn download(server: &Server, to: &Path) -> Result<(), Box<dyn Error>> {
    let (headers, body) = server.ask(Request::post(BACKUP_PATH), Vec::new()).await?;
    let expected = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let received = write(body, to).await?;
    match expected {
        Some(expected) if expected != received => Err(BackupError::Short { expected, received }.into()),
        _ => Ok(()),
    }
}

async fn write(body: Body, to: &Path) -> Result<u64, Box<dyn Error>> {
    let mut file = private::create_new(to).map_err(|error| format!("{}: {error}", to.display()))?;
    // Nobody takes it for one that a dead process left.
    file.lock()?;
    let (mut stream, mut received) = (body.into_data_stream(), 0);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        file.write_all(&bytes)?;
        received += bytes.len() as u64;
    }
    file.sync_all()?;
    Ok(received)
}

/// Gives the copy its name if it is sound, and if nobody took the name meanwhile.
fn keep(partial: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    check(partial)?;
    Ok(put_new(partial, file).map_err(|error| format!("{}: {error}", file.display()))?)
}
