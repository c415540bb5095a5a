//! Direct delivery: a topic writes new events straight to the connections of idle sessions, without waking their tasks.
//!
//! A session's task owns the session's position in each topic while it runs. When it has written everything and waits, it stores
//! the positions in its subscriptions and permits direct writes ([`Reader::park`](crate::session::Reader::park)). A topic may
//! then write a batch of events to the connection, if it continues the position, and move the position. In every other case it
//! wakes the session, which reads the events itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::task::unconstrained;

use super::event_frame::EventFrame;
use super::frame::{Frame, FrameId};
use super::handle::TopicShared;
use super::stats::add;
use super::wake::Wake;
use crate::limits;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Seq;
use duplex_protocol::subprotocol::{Subprotocol, Version};
use duplex_protocol::topic::TopicName;

/// A connection to which a topic may write while its session is idle.
pub trait DirectWriter: Send + Sync {
    /// Writes the batch if the session is idle and `position` is directly before the batch, and then moves the position. Returns
    /// false if it did not; the session is then woken. Must not block, and must hold the session's lock meanwhile.
    fn write(&self, position: &Position, batch: &EventBatch) -> bool;
}

/// The seq up to which an idle session has received a topic's events. Accessed only under the session's lock.
#[derive(Debug, Default)]
pub struct Position(AtomicU64);

impl Position {
    /// The position.
    pub fn get(&self) -> Seq {
        self.0.load(Relaxed)
    }

    /// Moves the position.
    pub fn set(&self, seq: Seq) {
        self.0.store(seq, Relaxed);
    }
}

/// Consecutive new events of one topic, encoded once for all sessions.
pub struct EventBatch {
    topic: TopicName,
    first: Seq,
    frames: Vec<Arc<EventFrame>>,
    /// The batch in the forms of the transports.
    forms: [OnceLock<Option<Block>>; FORMS * PROTOCOLS],
}

/// How the frames of a [`Block`] are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockForm {
    /// Not at all.
    Plain,
    /// Each by itself.
    Independent,
    /// The first by itself, the others with reference to the frame before.
    Restarted,
    /// All with reference to the frame before.
    Continued,
}

/// A batch as one block of bytes.
#[derive(Debug, Clone)]
pub struct Block {
    /// All frames.
    pub bytes: Bytes,
    /// The last frame that is compressed.
    pub compressed: Option<FrameId>,
}

const FORMS: usize = 4;
const PROTOCOLS: usize = 4;

impl EventBatch {
    pub(crate) fn new(topic: TopicName, first: Seq, frames: Vec<Arc<EventFrame>>) -> Self {
        Self {
            topic,
            first,
            frames,
            forms: Default::default(),
        }
    }

    /// Delivers the events to the topic's subscribers.
    pub(crate) async fn deliver(&self, shared: &TopicShared) {
        if !self.frames.is_empty() {
            // Unconstrained: the budget of the topic's task must not suspend a write to a session's socket.
            let written = unconstrained(shared.subscribers.deliver(self)).await;
            add(&shared.counters.delivered, (written * self.count()) as u64);
        }
    }

    /// Whether the batch continues a position.
    pub fn continues(&self, position: &Position) -> bool {
        position.get() + 1 == self.first
    }

    /// The seq of the last event.
    pub fn last(&self) -> Seq {
        self.first + self.frames.len() as Seq - 1
    }

    /// The number of events.
    pub fn count(&self) -> usize {
        self.frames.len()
    }

    /// Whether the first frame follows that one.
    pub fn follows(&self, id: FrameId, protocol: Subprotocol) -> bool {
        let first = self.frames.first();
        let first = first.and_then(|frame| frame.encoded(&self.topic, protocol));
        first.is_some_and(|frame| frame.follows(id))
    }

    /// The batch as one block of bytes: `append` appends one frame to it, in order. It gets the last compressed frame, which is first
    /// `compressed`, and sets it. The block is built for the first session and shared by all with the same protocol and form. `None` if
    /// an event does not encode, or if the block would be too large: sessions then read the events in parts.
    pub fn block(
        &self,
        protocol: Subprotocol,
        form: BlockForm,
        mut compressed: Option<FrameId>,
        append: impl Fn(&mut Vec<u8>, &Frame, &mut Option<FrameId>),
    ) -> Option<Block> {
        let build = || {
            let frames = self.frames.iter().map(|frame| frame.encoded(&self.topic, protocol));
            let frames = frames.collect::<Option<Vec<_>>>()?;
            let size = frames.iter().map(|frame| frame.len() + FRAME_HEADER).sum();
            if size > limits::DIRECT_BYTES {
                return None;
            }
            let mut block = Vec::with_capacity(size);
            for frame in &frames {
                append(&mut block, frame, &mut compressed);
            }
            let bytes = block.into();
            Some(Block { bytes, compressed })
        };
        self.forms.get(form_index(protocol, form))?.get_or_init(build).clone()
    }
}

/// The most bytes that a transport adds to a frame, as an estimate of a block's size.
const FRAME_HEADER: usize = 10;

const fn form_index(protocol: Subprotocol, form: BlockForm) -> usize {
    let version = match protocol.version {
        Version::V1 => 0,
        Version::V2 => 1,
    };
    let encoding = match protocol.encoding {
        Encoding::Json => 0,
        Encoding::Postcard => 1,
    };
    let form = match form {
        BlockForm::Plain => 0,
        BlockForm::Independent => 1,
        BlockForm::Restarted => 2,
        BlockForm::Continued => 3,
    };
    form * PROTOCOLS + version * 2 + encoding
}

/// A subscription as its topic sees it.
pub(crate) struct Subscriber {
    wake: Arc<Wake>,
    /// `None` for transports without direct delivery.
    writer: Option<Arc<dyn DirectWriter>>,
    pub(crate) position: Position,
}

impl Subscriber {
    pub(crate) fn new(wake: Arc<Wake>, writer: Option<Arc<dyn DirectWriter>>) -> Arc<Self> {
        Arc::new(Self {
            wake,
            writer,
            position: Position::default(),
        })
    }

    pub(crate) fn wake(&self) {
        self.wake.wake();
    }

    /// Writes the batch, or wakes the session. Returns whether it was written.
    pub(crate) fn deliver(&self, batch: &EventBatch) -> bool {
        let written = self
            .writer
            .as_ref()
            .is_some_and(|writer| writer.write(&self.position, batch));
        if !written {
            self.wake.wake();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::topic::event_frame::tests::{following, frame};

    /// A session that is idle while `permitted`.
    #[derive(Default)]
    struct Session {
        permitted: bool,
        received: Mutex<Vec<Seq>>,
    }

    impl DirectWriter for Session {
        fn write(&self, position: &Position, batch: &EventBatch) -> bool {
            if !self.permitted || !batch.continues(position) {
                return false;
            }
            self.received.lock().unwrap().extend(batch.first..=batch.last());
            position.set(batch.last());
            true
        }
    }

    fn batch(first: Seq, count: u64) -> EventBatch {
        let topic: TopicName = "sum/a".parse().unwrap();
        let frames = (first..first + count).map(|seq| frame(seq, "text")).collect();
        EventBatch::new(topic, first, frames)
    }

    /// Delivers the batch to a session at position 4. Returns the received seqs, the position, and whether the session was woken.
    fn deliver(permitted: bool, batch: &EventBatch) -> (Vec<Seq>, Seq, bool) {
        let (session, wake) = (
            Arc::new(Session {
                permitted,
                ..Session::default()
            }),
            Wake::new(),
        );
        let subscriber = Subscriber::new(Arc::clone(&wake), Some(Arc::clone(&session) as _));
        subscriber.position.set(4);
        let written = subscriber.deliver(batch);
        let woken = wake.woken().now_or_never().is_some();
        assert_ne!(written, woken);
        let received = session.received.lock().unwrap().clone();
        (received, subscriber.position.get(), woken)
    }

    #[test]
    fn an_idle_session_receives_the_batch_that_continues_its_position() {
        assert_eq!(deliver(true, &batch(5, 2)), (vec![5, 6], 6, false));
        assert_eq!(deliver(true, &batch(6, 2)), (vec![], 4, true), "a gap");
        assert_eq!(deliver(true, &batch(4, 2)), (vec![], 4, true), "received before");
        assert_eq!(deliver(false, &batch(5, 2)), (vec![], 4, true), "not idle");
    }

    #[test]
    fn a_session_without_a_writer_is_woken() {
        let wake = Wake::new();
        assert!(!Subscriber::new(Arc::clone(&wake), None).deliver(&batch(1, 1)));
        assert!(wake.woken().now_or_never().is_some());
    }

    #[test]
    fn a_block_is_built_once_per_form() {
        use BlockForm::{Continued, Independent, Plain, Restarted};
        let batch = batch(1, 2);
        let append = |block: &mut Vec<u8>, frame: &Frame, compressed: &mut Option<FrameId>| {
            block.push(b'|');
            block.extend_from_slice(frame);
            *compressed = Some(frame.id());
        };
        let block = |protocol, form| batch.block(protocol, form, None, append).unwrap();
        let blocks: Vec<_> = Subprotocol::ALL
            .into_iter()
            .flat_map(|protocol| [Plain, Independent, Restarted, Continued].map(|form| block(protocol, form)))
            .collect();
        assert_eq!(blocks[0].bytes.iter().filter(|byte| **byte == b'|').count(), 2);
        let last = batch.frames[1].encoded(&batch.topic, Subprotocol::ALL[0]).unwrap();
        assert_eq!(blocks[0].compressed, Some(last.id()));
        let again = block(Subprotocol::ALL[0], Plain);
        assert_eq!(again.bytes.as_ptr(), blocks[0].bytes.as_ptr());
        let addresses: std::collections::BTreeSet<_> = blocks.iter().map(|block| block.bytes.as_ptr()).collect();
        assert_eq!(addresses.len(), FORMS * PROTOCOLS);
    }

    #[test]
    fn a_batch_follows_the_last_frame_of_the_batch_before() {
        let protocol = Subprotocol::JSON;
        let topic: TopicName = "sum/a".parse().unwrap();
        let before = frame(1, "one");
        let next = || EventBatch::new(topic.clone(), 2, vec![following(Some(&before), 2, "two")]);
        let id = |frame: &EventFrame| frame.encoded(&topic, protocol).unwrap().id();
        let unread = next();
        assert!(unread.frames[0].encoded(&topic, protocol).is_some());
        let id_before = id(&before);
        assert!(
            !unread.follows(id_before, protocol),
            "no reader needed the frame before"
        );
        let batch = next();
        assert!(batch.follows(id_before, protocol));
        assert!(!batch.follows(id(&batch.frames[0]), protocol));
    }

    #[test]
    fn a_batch_that_is_too_large_has_no_block() {
        let topic: TopicName = "sum/a".parse().unwrap();
        let frames = vec![frame(1, &"x".repeat(limits::DIRECT_BYTES))];
        let batch = EventBatch::new(topic, 1, frames);
        let block = batch.block(Subprotocol::ALL[0], BlockForm::Plain, None, |_, _, _| {});
        assert!(block.is_none());
    }
}
