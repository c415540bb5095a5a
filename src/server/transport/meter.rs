//! A stream that notes when bytes last moved in each direction, and how many came in. A peer that is sending one long message
//! is not silent, though no message of it has arrived; one that takes our bytes slowly is not stuck.
//! Knows no protocol.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Read beside the stream while the stream is borrowed.
#[derive(Debug)]
pub struct Meter {
    opened: Instant,
    /// Nanoseconds after `opened`: 584 years fit.
    heard: AtomicU64,
    wrote: AtomicU64,
    bytes_in: AtomicU64,
}

impl Meter {
    pub fn start() -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self {
            opened: Instant::now(),
            heard: zero(),
            wrote: zero(),
            bytes_in: zero(),
        })
    }

    /// The time since the connection's opening.
    pub fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    pub fn at(&self, moment: Duration) -> Instant {
        self.opened + moment
    }

    /// When bytes last came in, or when we began to listen again.
    pub fn heard(&self) -> Duration {
        Duration::from_nanos(self.heard.load(Relaxed))
    }

    /// Whoever did not listen cannot blame the peer for its silence.
    pub fn listens(&self) {
        self.mark(&self.heard);
    }

    /// When the peer's side last took bytes.
    pub fn wrote(&self) -> Duration {
        Duration::from_nanos(self.wrote.load(Relaxed))
    }

    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    fn mark(&self, moment: &AtomicU64) {
        moment.store(u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub const fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(count)) if *count > 0) {
            self.meter.mark(&self.meter.wrote);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        if count > 0 {
            self.meter.mark(&self.meter.heard);
            self.meter.bytes_in.fetch_add(count as u64, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
