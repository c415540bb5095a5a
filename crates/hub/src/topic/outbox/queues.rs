//! The outbox's queues in memory: the undelivered forwards of each pair of topics, in order, and their count and size.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use crate::limits;
use crate::log::{ForwardKey, PendingForward};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub(super) struct State {
    pub(super) load_phase: LoadPhase,
    pub(super) queues: HashMap<QueueKey, ForwardQueue>,
    /// Undelivered forwards of each source topic.
    pub(super) pending: HashMap<TopicName, usize>,
    /// The bytes of all undelivered forwards.
    pub(super) bytes: usize,
    /// Delivered forwards that are still in the log.
    pub(super) delivered: Vec<ForwardKey>,
    /// A task that removes them is running.
    pub(super) removal_scheduled: bool,
}

/// The progress of loading stored forwards. Delivery starts when loading has finished, to keep the order.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LoadPhase {
    #[default]
    NotStarted,
    Started,
    Finished,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct QueueKey {
    pub(super) from: TopicName,
    pub(super) to: TopicName,
}

#[derive(Default)]
pub(super) struct ForwardQueue {
    pub(super) forwards: BTreeMap<(Seq, u32), QueuedForward>,
    pub(super) running: bool,
    /// The target rejected the first forward; it is retried after a pause.
    pub(super) paused: bool,
    /// The newest event of the source topic that another node appended, and up to which of them its forwards are known.
    pub(super) followed: Seq,
    pub(super) verified: Seq,
}

/// A queue's next forward.
pub(super) struct NextForward {
    pub(super) position: (Seq, u32),
    pub(super) queued: QueuedForward,
    /// Other nodes may have earlier ones: read those of events up to this one first.
    pub(super) unverified: Option<Seq>,
}

impl ForwardQueue {
    pub(super) fn next(&self) -> Option<NextForward> {
        let (position, queued) = self.forwards.first_key_value()?;
        Some(NextForward {
            position: *position,
            queued: queued.clone(),
            unverified: (self.followed > self.verified).then_some(self.followed),
        })
    }
}

#[derive(Clone)]
pub(super) struct QueuedForward {
    pub(super) command: CommandId,
    pub(super) payload: Bytes,
}

impl QueuedForward {
    pub(super) fn bytes(&self) -> usize {
        self.payload.len() + limits::EVENT_OVERHEAD
    }
}

impl State {
    /// Adds a forward. Returns the queue's key if its task must be started.
    pub(super) fn insert(&mut self, forward: PendingForward, followed: Seq) -> Option<QueueKey> {
        let PendingForward {
            key,
            to,
            command,
            payload,
            ..
        } = forward;
        let name = QueueKey {
            from: key.from.clone(),
            to,
        };
        let payload = payload.into();
        let queued = QueuedForward { command, payload };
        let bytes = queued.bytes();
        let queue = self.queues.entry(name.clone()).or_default();
        queue.followed = queue.followed.max(followed);
        if queue.forwards.insert((key.seq, key.index), queued).is_none() {
            *self.pending.entry(key.from).or_default() += 1;
            self.bytes += bytes;
        }
        let must_start = self.load_phase == LoadPhase::Finished && !queue.running;
        queue.running |= must_start;
        must_start.then_some(name)
    }

    /// Replaces those forwards of a queue that were in it when the log was read, `before`, with the stored ones. Others were added
    /// since.
    pub(super) fn verify(
        &mut self,
        name: &QueueKey,
        (before, verified): (&[(Seq, u32)], Seq),
        stored: Vec<PendingForward>,
    ) {
        let mut stale: BTreeSet<_> = before.iter().copied().collect();
        for forward in stored.into_iter().filter(|forward| forward.to == name.to) {
            stale.remove(&(forward.key.seq, forward.key.index));
            self.insert(forward, 0);
        }
        for position in stale {
            self.remove(name, position);
        }
        if let Some(queue) = self.queues.get_mut(name) {
            queue.verified = queue.verified.max(verified);
        }
    }

    /// Removes a forward. Returns false if it was already removed.
    pub(super) fn remove(&mut self, name: &QueueKey, position: (Seq, u32)) -> bool {
        let queue = self.queues.get_mut(name);
        let Some(queued) = queue.and_then(|queue| queue.forwards.remove(&position)) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(queued.bytes());
        if let Some(pending) = self.pending.get_mut(&name.from) {
            *pending -= 1;
            if *pending == 0 {
                self.pending.remove(&name.from);
            }
        }
        true
    }

    /// Marks loading as finished. Returns the queues that received forwards meanwhile.
    pub(super) fn finish_loading(&mut self) -> Vec<QueueKey> {
        self.load_phase = LoadPhase::Finished;
        let idle = self.queues.iter_mut().filter(|(_, queue)| !queue.running);
        idle.map(|(name, queue)| {
            queue.running = true;
            name.clone()
        })
        .collect()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.load_phase == LoadPhase::Finished && self.queues.values().any(|queue| !queue.paused)
    }
}
