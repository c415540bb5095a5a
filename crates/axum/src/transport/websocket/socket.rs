//! A WebSocket's frames over a byte stream: received bytes are decoded, and sent frames are queued and written together.
//!
//! An idle socket holds no buffers: received bytes go to a buffer of the thread, and the queue is allocated by the first frame. The
//! stream and the queue are shared with the topics that write to an idle session directly.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::codec::{DecodeError, Decoder, DecoderConfig, DeflateParams, Incoming, Opcode, encode_frame};
use super::compression::{Context as CompressionContext, compress, compress_shared};
use super::transport::Transport;
use crate::connection::counters::Counters;
use crate::connection::observed_stream::ObservedStream;
use crate::limits;
use crate::lock::lock;
use crate::transport::activity_meter::ActivityMeter;
use crate::transport::handler::Message;
use duplex_hub::topic::{Block, BlockForm, DirectWriter, EventBatch, Frame, Position};
use duplex_protocol::subprotocol::Subprotocol;

/// The stream under the frames.
pub(super) type RawStream = ObservedStream<Transport, Arc<ActivityMeter>>;

pub(super) struct Socket {
    shared: Arc<SharedSocket>,
    decoder: Decoder,
    /// Received bytes that are not decoded.
    received: BytesMut,
    /// `received` may contain a complete message.
    has_unread: bool,
}

/// The part of a socket that its session and the topics share.
struct SharedSocket {
    writer: Mutex<Writer>,
    counters: Arc<Counters>,
}

struct Writer {
    stream: RawStream,
    /// Complete frames, and the rest of a frame that is partially written.
    queue: BytesMut,
    context: CompressionContext,
    /// How topics may write, while the session is idle.
    direct: Option<DirectFormat>,
    /// The session has handed its positions over. It takes them back, even if a topic has ended direct writes meanwhile.
    is_parked: bool,
    /// A topic could not write everything: the session must flush the queue.
    interrupted: bool,
    /// Wakes the session that waits for [`Socket::readiness`].
    session: Option<Waker>,
}

/// The protocol of the frames, and the agreed compression.
type DirectFormat = (Subprotocol, Option<DeflateParams>);

/// Why a socket is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Bytes arrived that may complete a message.
    Bytes,
    /// The stream has ended.
    End,
    /// The queue must be flushed, because a topic could not write everything.
    Interrupted,
}

impl Socket {
    /// `received` was read with the handshake.
    pub(super) fn new(stream: RawStream, config: DecoderConfig, received: Bytes, counters: Arc<Counters>) -> Self {
        let writer = Writer {
            stream,
            queue: BytesMut::new(),
            context: None,
            direct: None,
            is_parked: false,
            interrupted: false,
            session: None,
        };
        Self {
            shared: Arc::new(SharedSocket {
                writer: Mutex::new(writer),
                counters,
            }),
            decoder: Decoder::new(config),
            has_unread: !received.is_empty(),
            received: received.into(),
        }
    }

    /// Waits until there is something to do. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub(super) async fn readiness(&mut self) -> io::Result<Readiness> {
        poll_fn(|cx| self.poll_readiness(cx)).await
    }

    fn poll_readiness(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        let mut writer = lock(&self.shared.writer);
        if std::mem::take(&mut writer.interrupted) {
            return Poll::Ready(Ok(Readiness::Interrupted));
        }
        if self.has_unread {
            return Poll::Ready(Ok(Readiness::Bytes));
        }
        let mut buffer = match self.received.is_empty() {
            true => take_read_buffer(),
            false => std::mem::take(&mut self.received),
        };
        buffer.reserve(limits::SOCKET_READ);
        let read = poll_read_buf(Pin::new(&mut writer.stream), cx, &mut buffer);
        if read.is_pending() && !writer.session.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            writer.session = Some(cx.waker().clone());
        }
        drop(writer);
        self.received = buffer;
        if matches!(read, Poll::Ready(Ok(1..))) {
            self.has_unread = true;
            return Poll::Ready(Ok(Readiness::Bytes));
        }
        self.release_received();
        read.map_ok(|_| Readiness::End)
    }

    /// Decodes the next message; `None` if bytes are missing.
    ///
    /// # Errors
    ///
    /// If the peer violates the protocol: nothing more can be decoded.
    pub(super) fn next_message(&mut self) -> Result<Option<Incoming>, DecodeError> {
        let message = self.decoder.decode(&mut self.received)?;
        if message.is_none() {
            self.has_unread = false;
            self.release_received();
        }
        Ok(message)
    }

    /// Bytes that are held of partially received messages.
    pub(super) fn partial_len(&self) -> usize {
        self.received.len() + self.decoder.partial_len()
    }

    /// Returns the buffer to the thread if it is empty, and else keeps only its content.
    fn release_received(&mut self) {
        let received = std::mem::take(&mut self.received);
        if received.is_empty() {
            put_read_buffer(received);
        } else if received.capacity() > 2 * received.len() {
            self.received = BytesMut::from(&received[..]);
            put_read_buffer(received);
        } else {
            self.received = received;
        }
    }

    /// Queues a message, compressed for a client that agreed to it. It is written by [`Self::flush`].
    pub(super) fn feed_message(&mut self, opcode: Opcode, message: &Message, deflate: Option<DeflateParams>) {
        let mut writer = lock(&self.shared.writer);
        let compressed = deflate.and_then(|deflate| compress(message, deflate, &mut writer.context));
        let payload = compressed.as_deref().unwrap_or(message.as_bytes());
        writer.queue.reserve(payload.len() + limits::MAX_FRAME_HEADER);
        encode_frame(&mut writer.queue, opcode, compressed.is_some(), payload);
    }

    /// Queues an uncompressed message or a control frame. It is written by [`Self::flush`].
    pub(super) fn feed(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut writer = lock(&self.shared.writer);
        writer.queue.reserve(payload.len() + limits::MAX_FRAME_HEADER);
        encode_frame(&mut writer.queue, opcode, false, payload);
    }

    /// Queues a complete frame.
    pub(super) fn feed_frame(&mut self, frame: &[u8]) {
        lock(&self.shared.writer).queue.extend_from_slice(frame);
    }

    /// Writes all queued frames. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| lock(&self.shared.writer).poll_flush(cx)).await
    }

    /// Bytes that are queued.
    pub(super) fn queued(&self) -> usize {
        lock(&self.shared.writer).queue.len()
    }

    /// For topics, which write to it while it is permitted.
    pub(super) fn direct_writer(&self) -> Arc<dyn DirectWriter> {
        Arc::clone(&self.shared) as _
    }

    /// Permits direct writes, unless frames are queued. `park` hands the session's positions over.
    pub(super) fn permit_direct(&self, format: DirectFormat, park: impl FnOnce()) {
        let mut writer = lock(&self.shared.writer);
        if writer.queue.is_empty() {
            park();
            writer.is_parked = true;
            writer.direct = Some(format);
        }
    }

    /// Ends direct writes. `unpark` takes the positions back, if they were handed over.
    pub(super) fn revoke_direct(&self, unpark: impl FnOnce()) {
        let mut writer = lock(&self.shared.writer);
        writer.direct = None;
        if std::mem::take(&mut writer.is_parked) {
            unpark();
        }
    }

    /// The stream, for the time after the closing handshake.
    pub(super) fn into_stream(self) -> ClosedStream {
        ClosedStream(self.shared)
    }
}

impl Writer {
    /// Makes the session flush the queue.
    fn interrupt(&mut self) {
        self.direct = None;
        self.interrupted = true;
        if let Some(session) = self.session.take() {
            session.wake();
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.queue))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.queue.advance(written),
            }
        }
        if self.queue.capacity() > 0 {
            self.queue = BytesMut::new();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl Writer {
    /// How to compress a batch, and the frame to which its first frame may refer.
    fn block_form(
        &self,
        protocol: Subprotocol,
        deflate: Option<DeflateParams>,
        batch: &EventBatch,
    ) -> (BlockForm, CompressionContext) {
        match deflate {
            None => (BlockForm::Plain, None),
            Some(deflate) if !deflate.takes_over_context() => (BlockForm::Independent, None),
            Some(_) => match self.context.filter(|last| batch.follows(*last, protocol)) {
                Some(last) => (BlockForm::Continued, Some(last)),
                None => (BlockForm::Restarted, None),
            },
        }
    }
}

impl DirectWriter for SharedSocket {
    fn write(&self, position: &Position, batch: &EventBatch) -> bool {
        let mut writer = lock(&self.writer);
        let Some((protocol, deflate)) = writer.direct.filter(|_| batch.continues(position)) else {
            return false;
        };
        let opcode = Opcode::of_encoding(protocol.encoding);
        // One block for all compressing sessions, so only for those with the largest window.
        let deflate = deflate.filter(|deflate| deflate.has_largest_window());
        let append = |block: &mut Vec<u8>, frame: &Frame, context: &mut CompressionContext| {
            let compressed = deflate.and_then(|deflate| compress_shared(frame, deflate, context));
            let payload = compressed.unwrap_or(frame.bytes());
            encode_frame(block, opcode, compressed.is_some(), payload);
        };
        let (form, context) = writer.block_form(protocol, deflate, batch);
        let Some(Block {
            bytes: block,
            compressed,
        }) = batch.block(protocol, form, context, append)
        else {
            return false;
        };
        // The session polls the stream itself when it must wait. Unmetered: only a session that waits asks when it last wrote.
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(written @ 1..)) = Pin::new(writer.stream.inner_mut()).poll_write(&mut cx, &block) else {
            writer.direct = None;
            return false;
        };
        position.set(batch.last());
        writer.context = compressed.or(writer.context);
        self.counters.count_messages(0, batch.count() as u64);
        let rest = block.get(written..).unwrap_or_default();
        writer.queue.extend_from_slice(rest);
        if !rest.is_empty()
            || !matches!(
                Pin::new(writer.stream.inner_mut()).poll_flush(&mut cx),
                Poll::Ready(Ok(()))
            )
        {
            writer.interrupt();
        }
        true
    }
}

/// The stream after the closing handshake.
pub(super) struct ClosedStream(Arc<SharedSocket>);

impl AsyncRead for ClosedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0.writer).stream).poll_read(cx, buf)
    }
}

impl ClosedStream {
    /// Shuts down the server's half.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut lock(&self.0.writer).stream).poll_shutdown(cx)).await
    }
}

thread_local! {
    /// The read buffer of all sockets of this thread.
    static READ_BUFFER: Cell<BytesMut> = Cell::default();
}

fn take_read_buffer() -> BytesMut {
    READ_BUFFER.take()
}

/// Keeps an empty buffer for the next read, unless it grew for a large message.
fn put_read_buffer(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() <= limits::MAX_RETAINED_BUFFER {
        READ_BUFFER.set(buffer);
    }
}
