//! A copy of the log for whoever runs the server, while it serves. The copy is made beside the log, read from there, and gone
//! from the folder before the first byte is sent: nothing is left behind, whatever becomes of the answer.

use std::io;
use std::path::PathBuf;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokio::fs::{File, remove_file};
use tokio_util::io::ReaderStream;

use super::state::ServerState;
use duplex_axum::error::Problem;
use duplex_hub::log::LogError;
use duplex_hub::log::sqlite::copy_name;

#[derive(Debug, thiserror::Error)]
enum BackupFailed {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the copy cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// `POST` [`BACKUP_PATH`](super::operator::BACKUP_PATH)
pub async fn download(State(state): State<ServerState>) -> Response {
    match copy(&state).await {
        Ok((file, bytes)) => {
            let headers = [
                (
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/vnd.sqlite3"),
                ),
                (header::CONTENT_LENGTH, HeaderValue::from(bytes)),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                // A reader takes the bytes as they are, and knows by their number that it has all.
                (header::CONTENT_ENCODING, HeaderValue::from_static("identity")),
            ];
            (headers, Body::from_stream(ReaderStream::new(file))).into_response()
        }
        Err(error) => {
            tracing::error!("no backup: {error}");
            Problem::unavailable(format!("There is no backup: {error}.")).into_response()
        }
    }
}

async fn copy(state: &ServerState) -> Result<(File, u64), BackupFailed> {
    let log = state.hub.log();
    let to = beside(log.place());
    log.copy(&to).await?;
    let opened = File::open(&to).await;
    remove_file(&to).await?;
    let file = opened?;
    let bytes = file.metadata().await?.len();
    Ok((file, bytes))
}

fn beside(place: Option<PathBuf>) -> PathBuf {
    copy_name(&place.unwrap_or_else(|| std::env::temp_dir().join("duplex")))
}
