//! The document measurement: repeated loads (cached by HTTP, not over a WebSocket), and one large download.

use super::request::{get, labelled};
use super::{CLOSE_DELAY_MS, ExchangeError, RunCounts, StopFlag, fetch_counts, now, sleep, socket::DocumentSocket};
use crate::apps::compare::model::{Bytes, Documents};
use crate::apps::compare::wire::DOCUMENTS_PATH;
use crate::apps::compare::wire::measure::{DOCUMENT_PATH, MAX_CHUNK, MAX_DOCUMENT};

const SIZE: usize = 32 << 10;
const LOADS: u32 = 10;

/// Measures the documents; `None` if the run was stopped or the server was unreachable. The labels `asked` and `pieces` are the
/// names on the wire of `requested` and `chunks`.
pub(super) async fn measure(run: &str, stop: &StopFlag) -> Option<Documents> {
    let documents = try_measure(run, stop).await.ok()?;
    if stop.is_stopped() { None } else { Some(documents) }
}

async fn try_measure(run: &str, stop: &StopFlag) -> Result<Documents, ExchangeError> {
    let cached = labelled(DOCUMENT_PATH, run, "cached", &format!("&bytes={SIZE}"));
    for _ in 0..LOADS {
        if stop.is_stopped() {
            return Err(ExchangeError::Rejected);
        }
        get(&cached).await?;
    }
    let socket = DocumentSocket::open(&labelled(DOCUMENTS_PATH, run, "asked", "")).await?;
    socket.request(SIZE, LOADS, false).await?;
    drop(socket);
    let started = now();
    get(&labelled(
        DOCUMENT_PATH,
        run,
        "download",
        &format!("&bytes={MAX_DOCUMENT}"),
    ))
    .await?;
    let download = now() - started;
    let socket = DocumentSocket::open(&labelled(DOCUMENTS_PATH, run, "pieces", "")).await?;
    let chunks = socket
        .request(MAX_CHUNK, (MAX_DOCUMENT / MAX_CHUNK) as u32, true)
        .await?;
    drop(socket);
    sleep(CLOSE_DELAY_MS).await;
    let counts = fetch_counts(run).await;
    Ok(Documents {
        document_bytes: SIZE as u32,
        loads: LOADS,
        cached: bytes(&counts, "cached"),
        requested: bytes(&counts, "asked"),
        large_document_bytes: MAX_DOCUMENT as u32,
        download_us: (download * 1000.0) as u64,
        download: bytes(&counts, "download"),
        chunks_us: (chunks * 1000.0) as u64,
        chunks: bytes(&counts, "pieces"),
    })
}

fn bytes(counts: &RunCounts, transport: &str) -> Bytes {
    let traffic = counts.transports.get(transport).copied().unwrap_or_default();
    Bytes {
        up: traffic.bytes_in,
        down: traffic.bytes_out,
    }
}
