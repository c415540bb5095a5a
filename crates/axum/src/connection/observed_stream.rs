//! A stream that tells an observer of its bytes as they move.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An observer of a stream's bytes, called on the connection's task whenever at least one byte moved.
pub(crate) trait ByteObserver {
    fn on_read(&self, bytes: &[u8]);

    /// So many bytes are about to be written. The peer may have received them, and answered, before [`Self::on_written`] is called.
    fn before_write(&self, _count: usize) {}

    /// So many of those bytes were not written.
    fn on_unwritten(&self, _count: usize) {}

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

    fn note(&self, offered: usize, written: &Poll<io::Result<usize>>) {
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
        self.note(buf.len(), &written);
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
        self.note(offered, &written);
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
    enum Told {
        Writing(usize),
        KeptBack(usize),
        Wrote(usize),
    }

    #[derive(Default)]
    struct Notes(RefCell<Vec<Told>>);

    impl ByteObserver for &Notes {
        fn on_read(&self, _bytes: &[u8]) {}

        fn before_write(&self, count: usize) {
            self.0.borrow_mut().push(Told::Writing(count));
        }

        fn on_unwritten(&self, count: usize) {
            self.0.borrow_mut().push(Told::KeptBack(count));
        }

        fn on_written(&self, count: usize) {
            self.0.borrow_mut().push(Told::Wrote(count));
        }
    }

    #[tokio::test]
    async fn what_is_written_is_told_before_it_goes_and_what_was_not_taken_after() {
        let (near, _far) = duplex(4);
        let notes = Notes::default();
        let mut stream = ObservedStream::new(near, &notes);
        assert_eq!(stream.write(b"abcdef").await.unwrap(), 4);
        let told = notes.0.take();
        assert_eq!(told, [Told::Writing(6), Told::KeptBack(2), Told::Wrote(4)]);
    }
}
