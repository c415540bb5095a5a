//! The backup endpoint: a consistent copy of the log of a running server. The copy is written next to the log, opened, and
//! unlinked before the first byte is sent, so nothing is left behind if the response fails.

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::fs::{File, remove_file};
use tokio_util::io::ReaderStream;

use super::state::ServerState;
use duplex_axum::error::Problem;
use duplex_hub::log::LogError;
use duplex_hub::log::sqlite::temporary_copy_path;

#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the copy cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error(
        "the log is not a file; a database is backed up with PostgreSQL's own tools, such as pg_dump --schema=duplex"
    )]
    NotAFile,
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
                // Not compressed, so that the client can verify completeness by `Content-Length`.
                (header::CONTENT_ENCODING, HeaderValue::from_static("identity")),
            ];
            (headers, Body::from_stream(ReaderStream::new(file))).into_response()
        }
        Err(error @ BackupError::NotAFile) => {
            Problem::new(StatusCode::NOT_IMPLEMENTED, format!("There is no backup: {error}.")).into_response()
        }
        Err(error) => {
            tracing::error!("the backup failed: {error}");
            Problem::unavailable(format!("The backup failed: {error}.")).into_response()
        }
    }
}

async fn copy(state: &ServerState) -> Result<(File, u64), BackupError> {
    let log = state.hub.log();
    let to = temporary_copy_path(&log.path().ok_or(BackupError::NotAFile)?);
    log.backup(&to).await?;
    let opened = File::open(&to).await;
    remove_file(&to).await?;
    let file = opened?;
    let bytes = file.metadata().await?.len();
    Ok((file, bytes))
}
