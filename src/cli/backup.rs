//! `duplex backup`: downloads a copy of a server's log, and keeps it only if it is complete and passes the integrity check.
//! Copying the file directly is unsafe: the data is split between file and journal, and only the server can take a consistent
//! copy.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Request, header};
use duplex::server::config::Config;
use duplex::server::operator::BACKUP_PATH;
use duplex_hub::log::private;
use duplex_hub::log::sqlite::{backup_offline, parent_dir, partial_path, remove_partials, rename_noreplace, verify};
use futures_util::StreamExt as _;

use super::output::out;
use super::remote::{Remote, Server};

#[derive(Debug, clap::Args)]
pub struct Backup {
    /// File to create; an existing one is never overwritten
    file: PathBuf,

    /// Copies the file of --data; the server must not be running
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error("{} already exists", .0.display())]
    Exists(PathBuf),
    #[error("only {received} of {expected} bytes were received")]
    Short { expected: u64, received: u64 },
}

impl Backup {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        if self.file.exists() {
            return Err(BackupError::Exists(self.file).into());
        }
        if self.offline {
            backup_offline(config.data.file()?, &self.file)?;
        } else {
            let server = self.remote.server(config)?;
            let dir = parent_dir(&self.file);
            remove_partials(dir, None).map_err(|error| format!("{}: {error}", dir.display()))?;
            let partial = partial_path(&self.file);
            let result = super::block_on(download(&server, &partial)).and_then(|()| finish(&partial, &self.file));
            if result.is_err() {
                let _ = fs::remove_file(&partial);
            }
            result?;
        }
        let integrity = verify(&self.file)?;
        out!(
            "{}: {} bytes, {} topics",
            self.file.display(),
            integrity.bytes,
            integrity.topics
        )?;
        Ok(())
    }
}

async fn download(server: &Server, to: &Path) -> Result<(), Box<dyn Error>> {
    let (headers, body) = server.request(Request::post(BACKUP_PATH), Vec::new()).await?;
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
    // The lock marks the partial file as in use, so that cleanup does not remove it as a leftover.
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

/// Checks the copy, and renames it unless a file of that name was created meanwhile.
fn finish(partial: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    verify(partial)?;
    Ok(rename_noreplace(partial, file).map_err(|error| format!("{}: {error}", file.display()))?)
}
