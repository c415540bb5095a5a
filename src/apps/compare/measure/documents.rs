//! Where HTTP has what a WebSocket has not: a document that is already there need not be sent again. And one large document.

use super::request::{get, labelled};
use super::{Fault, RunCounts, Stop, counts, now, pause, socket::Asker};
use crate::apps::compare::model::{Bytes, Documents};
use crate::apps::compare::wire::DOCUMENTS_PATH;
use crate::apps::compare::wire::measure::{DOCUMENT_PATH, MAX_CHUNK, MAX_DOCUMENT};

const SIZE: usize = 32 << 10;
const LOADS: u32 = 10;

/// None: stopped, or the server was away.
pub(super) async fn measure(run: &str, stop: &Stop) -> Option<Documents> {
    let measured = measured(run, stop).await.ok()?;
    if stop.is_stopped() { None } else { Some(measured) }
}

async fn measured(run: &str, stop: &Stop) -> Result<Documents, Fault> {
    let cached = labelled(DOCUMENT_PATH, run, "cached", &format!("&bytes={SIZE}"));
    for _ in 0..LOADS {
        if stop.is_stopped() {
            return Err(Fault::Refused);
        }
        get(&cached).await?;
    }
    let asker = Asker::open(&labelled(DOCUMENTS_PATH, run, "asked", "")).await?;
    asker.ask(SIZE, LOADS, false).await?;
    drop(asker);
    let began = now();
    get(&labelled(
        DOCUMENT_PATH,
        run,
        "download",
        &format!("&bytes={MAX_DOCUMENT}"),
    ))
    .await?;
    let download = now() - began;
    let asker = Asker::open(&labelled(DOCUMENTS_PATH, run, "pieces", "")).await?;
    let pieces = asker.ask(MAX_CHUNK, (MAX_DOCUMENT / MAX_CHUNK) as u32, true).await?;
    drop(asker);
    // For the closing frames.
    pause(100.0).await;
    let counts = counts(run).await;
    Ok(Documents {
        size: SIZE as u32,
        loads: LOADS,
        cached: bytes(&counts, "cached"),
        asked: bytes(&counts, "asked"),
        large: MAX_DOCUMENT as u32,
        download_us: (download * 1000.0) as u64,
        download: bytes(&counts, "download"),
        pieces_us: (pieces * 1000.0) as u64,
        pieces: bytes(&counts, "pieces"),
    })
}

fn bytes(counts: &RunCounts, way: &str) -> Bytes {
    let tally = counts.ways.get(way).copied().unwrap_or_default();
    Bytes {
        up: tally.bytes_in,
        down: tally.bytes_out,
    }
}
