//! A stream that notifies an observer of the bytes that are read and written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An observer of a stream's bytes, called on the connection's task.
pub(crate) trait ByteObserver {
    /// Called after `bytes` were read. `bytes` is never empty.
    fn on_read(&self, bytes: &[u8]);

    /// Called before `count` bytes are written. The peer may receive them, and answer, before [`Self::on_written`] is called.
    fn before_write(&self, _count: usize) {}

    /// Called if `count` of the bytes passed to [`Self::before_write`] were not written.
    fn on_unwritten(&self, _count: usize) {}

    /// Called after `count` bytes were written. `count` is never 0.
    fn on_written(&self, count: usize);
}

#[derive(Debug)]
pub(crate) struct ObservedStream<S, O> {
    stream: S,
    observer: O,
}

impl<S, O: ByteObserver> ObservedStream<S, O> {
    pub(crate) const fn new(stream: S, observer: O) -> Self {
        Self { stream, observer }
    }

    /// The stream and its observer.
    pub(crate) fn into_parts(self) -> (S, O) {
        (self.stream, self.observer)
    }

    /// The stream, for reads and writes that are not observed.
    pub(crate) const fn inner_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    fn report_write(&self, offered: usize, written: &Poll<io::Result<usize>>) {
        let count = match written {
            Poll::Ready(Ok(count)) => *count,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        if count < offered {
            self.observer.on_unwritten(offered - count);
        }
        if count > 0 {
            self.observer.on_written(count);
        }
    }
}

impl<S: AsyncRead + Unpin, O: ByteObserver + Unpin> AsyncRead for ObservedStream<S, O> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if !bytes.is_empty() {
            self.observer.on_read(bytes);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin, O: ByteObserver + Unpin> AsyncWrite for ObservedStream<S, O> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.observer.before_write(buf.len());
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.report_write(buf.len(), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        self.observer.before_write(offered);
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.report_write(offered, &written);
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Call {
        BeforeWrite(usize),
        Unwritten(usize),
        Written(usize),
    }

    #[derive(Default)]
    struct Calls(RefCell<Vec<Call>>);

    impl ByteObserver for &Calls {
        fn on_read(&self, _bytes: &[u8]) {}

        fn before_write(&self, count: usize) {
            self.0.borrow_mut().push(Call::BeforeWrite(count));
        }

        fn on_unwritten(&self, count: usize) {
            self.0.borrow_mut().push(Call::Unwritten(count));
        }

        fn on_written(&self, count: usize) {
            self.0.borrow_mut().push(Call::Written(count));
        }
    }

    #[tokio::test]
    async fn before_write_reports_the_offered_bytes_and_is_corrected() {
        let (near, _far) = duplex(4);
        let calls = Calls::default();
        let mut stream = ObservedStream::new(near, &calls);
        assert_eq!(stream.write(b"abcdef").await.unwrap(), 4);
        let calls = calls.0.take();
        assert_eq!(calls, [Call::BeforeWrite(6), Call::Unwritten(2), Call::Written(4)]);
    }
}
