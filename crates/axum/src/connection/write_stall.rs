//! A stream that fails when its peer reads less than [`limits::WRITE_PROGRESS`] bytes within [`limits::WRITE_STALL`]. It is below
//! HTTP, so it covers all HTTP versions and all kinds of responses.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::counters::{Counters, DisconnectReason};
use crate::limits;
use crate::suspend_aware::SuspendAwareSleep;

#[derive(Debug)]
pub(crate) struct WriteTimeoutStream<S> {
    stream: S,
    counters: Arc<Counters>,
    /// Set when the stream was upgraded: the new protocol has its own limits.
    upgraded: Arc<AtomicBool>,
    /// Runs while a write waits for the peer.
    deadline: Option<SuspendAwareSleep>,
    /// Bytes written since the deadline started.
    progress: usize,
}

impl<S> WriteTimeoutStream<S> {
    pub(crate) fn new(stream: S, counters: Arc<Counters>, upgraded: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            counters,
            upgraded,
            deadline: None,
            progress: 0,
        }
    }

    /// The stream without the time limit.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// Records that `count` of `offered` bytes were written.
    fn on_written(&mut self, count: usize, offered: usize) {
        self.progress = self.progress.saturating_add(count);
        if count == offered || self.progress >= limits::WRITE_PROGRESS {
            self.deadline = None;
            self.progress = 0;
        }
    }

    fn poll_deadline<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.upgraded.load(Relaxed) {
            self.deadline = None;
            return Poll::Pending;
        }
        let deadline = self
            .deadline
            .get_or_insert_with(|| SuspendAwareSleep::new(limits::WRITE_STALL));
        ready!(Pin::new(deadline).poll(cx));
        self.deadline = None;
        self.counters.count_disconnect(DisconnectReason::Slow);
        let message = "the peer does not read";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }

    fn track_write(
        &mut self,
        cx: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.poll_deadline(cx),
            Poll::Ready(Ok(count)) => {
                self.on_written(count, offered);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeoutStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeoutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.track_write(cx, buf.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.track_write(cx, offered, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// An encrypting stream may accept everything in `poll_write` and wait here.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.poll_deadline(cx),
            flushed => flushed,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => self.poll_deadline(cx),
            ended => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::task::yield_now;
    use tokio::time::{Instant, advance};

    use super::*;

    fn pair(upgraded: bool) -> (WriteTimeoutStream<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (near, far) = duplex(limits::WRITE_PROGRESS);
        (
            WriteTimeoutStream::new(near, Arc::default(), Arc::new(AtomicBool::new(upgraded))),
            far,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_ends_the_stream() {
        let (mut near, _far) = pair(false);
        let start = Instant::now();
        let written = near.write_all(&[0; 4 * limits::WRITE_PROGRESS]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), limits::WRITE_STALL);
        assert_eq!(near.counters.snapshot().disconnects(DisconnectReason::Slow), 1);
    }

    /// Writes to a peer that reads `bytes_per_read` bytes ten times within the stall limit.
    async fn write_to_peer(bytes_per_read: usize, upgraded: bool) -> (io::Result<()>, Duration) {
        let (mut near, mut far) = pair(upgraded);
        let start = Instant::now();
        let writing = tokio::spawn(async move { near.write_all(&[0; 4 * limits::WRITE_PROGRESS]).await });
        let mut buf = vec![0; bytes_per_read];
        while !writing.is_finished() {
            advance(limits::WRITE_STALL / 10).await;
            if bytes_per_read > 0 {
                let _ = far.read(&mut buf).now_or_never();
            }
            yield_now().await;
        }
        (writing.await.unwrap(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_trickles_ends_the_stream() {
        let (written, elapsed) = write_to_peer(1, false).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(elapsed <= limits::WRITE_STALL + limits::WRITE_STALL / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_that_keeps_reading_receives_everything() {
        let (written, elapsed) = write_to_peer(limits::WRITE_PROGRESS / 5, false).await;
        written.unwrap();
        assert!(elapsed > limits::WRITE_STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgraded_stream_is_not_limited() {
        let (written, elapsed) = write_to_peer(limits::WRITE_PROGRESS / 50, true).await;
        written.unwrap();
        assert!(elapsed > 2 * limits::WRITE_STALL);
    }
}
