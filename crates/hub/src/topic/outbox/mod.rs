//! The node's outbox: delivers forwards, the commands that follow from topics' events, to their target topics as the server.
//!
//! The log stores each forward in the commit of its event. The forwards from one topic to another form a queue: they are delivered
//! in order, one at a time, and a queue whose target is unavailable does not block another queue. The commit of its effect removes
//! a forward from the log; a forward without an append in its target (finally rejected, duplicate, or a start) is removed in a
//! batch. After a restart the node reads the remaining forwards and delivers them again, under the same ids. Other nodes that use the
//! log deliver the forwards of their own appends: see `shared`.

mod queues;
mod shared;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::queues::{LoadPhase, NextForward, QueueKey, QueuedForward, State};
use super::stats::add;
use crate::hub::Hub;
use crate::limits;
use crate::lock;
use crate::log::{ForwardKey, LogError, PendingForward};
use crate::quota::LogThrottle;
use duplex_protocol::codec::EncodedValue;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, Rejection};
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Notified when a queue ends or is paused.
    changed: Notify,
    stop: CancellationToken,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock::lock(&self.state)
    }

    /// Whether commands of `from` may create more forwards. When the total limit is reached, each source may still have a few, so
    /// that a blocked target blocks only its own sources.
    pub(crate) fn has_room(&self, from: &TopicName) -> bool {
        static FULL_THROTTLE: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

        let state = self.lock();
        let pending = state.pending.get(from).copied().unwrap_or_default();
        let max = match state.bytes < limits::FORWARD_BYTES {
            true => limits::MAX_FORWARDS_PER_TOPIC,
            false => limits::MIN_FORWARDS_PER_TOPIC,
        };
        drop(state);
        if pending < max {
            return true;
        }
        if let Some(suppressed) = FULL_THROTTLE.try_log() {
            tracing::warn!(%from, pending, suppressed, "too many pending forwards: commands are rejected until some are delivered");
        }
        false
    }

    /// Removes the forwards of redacted events; the log has already removed them.
    fn remove_redacted(&self, from: &TopicName, is_redacted: impl Fn(Seq) -> bool) -> u64 {
        let mut state = self.lock();
        let of_topic = state.queues.iter().filter(|(name, _)| name.from == *from);
        let removed: Vec<_> = of_topic
            .flat_map(|(name, queue)| {
                let positions = queue.forwards.keys().filter(|(seq, _)| is_redacted(*seq));
                positions.map(|position| (name.clone(), *position)).collect::<Vec<_>>()
            })
            .collect();
        removed
            .iter()
            .filter(|(name, position)| state.remove(name, *position))
            .count() as u64
    }

    /// The queue's oldest forward; `None` if its task must end.
    fn next(&self, name: &QueueKey) -> Option<NextForward> {
        let mut state = self.lock();
        let queue = state.queues.get_mut(name)?;
        queue.paused = false;
        let next = queue.next();
        if next.is_none() {
            state.queues.remove(name);
            drop(state);
            self.changed.notify_waiters();
        }
        next
    }

    fn positions(&self, name: &QueueKey) -> Vec<(Seq, u32)> {
        let state = self.lock();
        let queue = state.queues.get(name);
        queue.map_or_else(Vec::new, |queue| queue.forwards.keys().copied().collect())
    }

    /// Stops all deliveries at once, as the death of the node does.
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        self.stop.cancel();
    }

    fn pause(&self, name: &QueueKey) {
        if let Some(queue) = self.lock().queues.get_mut(name) {
            queue.paused = true;
        }
        self.changed.notify_waiters();
    }

    /// Waits, for a limited time, until every remaining forward is paused.
    pub(crate) async fn drain(&self) {
        let all_paused = async {
            loop {
                let notified = self.changed.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if !self.lock().is_busy() {
                    return;
                }
                notified.await;
            }
        };
        if timeout(limits::FORWARD_DRAIN, all_paused).await.is_err() {
            tracing::warn!("pending forwards will be delivered after the next start");
        }
    }
}

impl Hub {
    /// Delivers the stored forwards of an earlier process. Called at the node's start; the first forward calls it too.
    pub fn start_outbox(&self) {
        let outbox = self.outbox();
        {
            let mut state = outbox.lock();
            if state.load_phase != LoadPhase::NotStarted {
                return;
            }
            state.load_phase = LoadPhase::Started;
        }
        let (hub, stop) = (self.for_server(), outbox.stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move { hub.load_outbox().await }));
    }

    async fn load_outbox(&self) {
        loop {
            match self.log().forwards(None).await {
                Ok(stored) => {
                    if !stored.is_empty() {
                        tracing::info!(count = stored.len(), "delivering forwards of an earlier run");
                    }
                    self.forward(stored, 0);
                    let queues = self.outbox().lock().finish_loading();
                    return self.start_queues(queues);
                }
                Err(error) => tracing::warn!("stored forwards cannot be loaded: {error}"),
            }
            sleep(limits::LOG_RETRY).await;
        }
    }

    /// The number of stored forwards that are not delivered.
    pub fn pending_forwards(&self) -> usize {
        self.outbox().lock().pending.values().sum()
    }

    /// Reloads a topic's forwards from the log, after an append with an unknown outcome.
    pub(crate) async fn reload_forwards(&self, from: &TopicName) -> Result<(), LogError> {
        let stored = self.log_of_topic(from).forwards(Some(from)).await?;
        if !stored.is_empty() {
            self.forward(stored, 0);
        }
        Ok(())
    }

    pub(crate) fn remove_redacted_forwards(&self, from: &TopicName, is_redacted: impl Fn(Seq) -> bool) {
        let removed = self.outbox().remove_redacted(from, is_redacted);
        if removed > 0 {
            add(&self.counters().forwards_dropped, removed);
            tracing::info!(%from, removed, "forwards of redacted events were removed");
        }
    }

    /// Queues stored forwards for delivery. `followed` is the newest event of the source topic that another node appended: forwards
    /// of events before it may be undelivered there, and are then delivered first.
    pub(crate) fn forward(&self, forwards: Vec<PendingForward>, followed: Seq) {
        self.start_outbox();
        let mut state = self.outbox().lock();
        let queues = forwards
            .into_iter()
            .filter_map(|forward| state.insert(forward, followed))
            .collect();
        drop(state);
        self.start_queues(queues);
    }

    fn start_queues(&self, queues: Vec<QueueKey>) {
        for queue in queues {
            let (hub, stop) = (self.for_server(), self.outbox().stop.clone());
            // A delivery that is cancelled stays in the log.
            tokio::spawn(stop.run_until_cancelled_owned(async move { hub.run_queue(&queue).await }));
        }
    }

    async fn run_queue(&self, name: &QueueKey) {
        let outbox = self.outbox();
        let mut pause = limits::FORWARD_PAUSE;
        while let Some(NextForward {
            position,
            queued,
            unverified,
        }) = outbox.next(name)
        {
            if let Some(followed) = unverified {
                self.verify_queue(name, followed).await;
                continue;
            }
            let key = ForwardKey {
                from: name.from.clone(),
                seq: position.0,
                index: position.1,
            };
            let (answer, again) = self.deliver(name, &key, &queued).await;
            if let Answer::Rejected(why) = &answer
                && why.may_retry()
            {
                tracing::debug!(from = %name.from, to = %name.to, "a forward is retried later: {why}");
                outbox.pause(name);
                sleep(pause).await;
                pause = (pause * 2).min(limits::FORWARD_PAUSE_MAX);
                continue;
            }
            pause = limits::FORWARD_PAUSE;
            let same_log = Arc::ptr_eq(self.log_of_topic(&name.from), self.log_of_topic(&name.to));
            let removed = matches!(answer, Answer::Accepted { .. }) && !again && same_log;
            outbox.lock().remove(name, position);
            self.count(name, &answer);
            if !removed {
                self.schedule_removal(key);
            }
        }
    }

    async fn deliver(&self, name: &QueueKey, key: &ForwardKey, queued: &QueuedForward) -> (Answer, bool) {
        let handle = match self.open_while_closing(&name.to).await {
            Ok(handle) => handle.for_server(),
            Err(denial) => return (Answer::Rejected(Rejection::Denied(denial)), false),
        };
        // A start forward (`null`): opening the topic is all.
        if *queued.payload == *b"null" {
            let seq = handle.head().seq;
            return (Answer::Accepted { seq }, true);
        }
        let command = EncodedValue(queued.payload.to_vec());
        handle.deliver(Some(key.clone()), queued.command.clone(), command).await
    }

    fn count(&self, name: &QueueKey, answer: &Answer) {
        static REJECTED_THROTTLE: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

        let Answer::Rejected(why) = answer else {
            return add(&self.counters().forwards, 1);
        };
        add(&self.counters().forwards_dropped, 1);
        if let Some(suppressed) = REJECTED_THROTTLE.try_log() {
            tracing::warn!(from = %name.from, to = %name.to, suppressed, "a forward was rejected: {why}");
        }
    }

    /// Schedules the removal of a delivered forward, together with others.
    fn schedule_removal(&self, key: ForwardKey) {
        let mut state = self.outbox().lock();
        state.delivered.push(key);
        if !std::mem::replace(&mut state.removal_scheduled, true) {
            let (hub, stop) = (self.for_server(), self.outbox().stop.clone());
            tokio::spawn(stop.run_until_cancelled_owned(async move {
                let mut pause = limits::FORWARD_PAUSE;
                loop {
                    sleep(pause).await;
                    if hub.remove_delivered().await {
                        return;
                    }
                    pause = (pause * 2).min(limits::FORWARD_PAUSE_MAX);
                }
            }));
        }
    }

    /// Removes delivered forwards from the log. Returns whether none is left.
    async fn remove_delivered(&self) -> bool {
        let delivered = std::mem::take(&mut self.outbox().lock().delivered);
        let is_durable = |key: &ForwardKey| Arc::ptr_eq(self.log_of_topic(&key.from), self.log());
        let (durable, ephemeral): (Vec<_>, Vec<_>) = delivered.into_iter().partition(is_durable);
        for keys in [durable, ephemeral] {
            let Some(first) = keys.first() else { continue };
            let log = self.log_of_topic(&first.from);
            if let Err(error) = log.remove_forwards(keys.clone()).await {
                // A second delivery is detected by its id.
                tracing::debug!("delivered forwards could not be removed from the log; retrying: {error}");
                self.outbox().lock().delivered.extend(keys);
            }
        }
        let mut state = self.outbox().lock();
        state.removal_scheduled = !state.delivered.is_empty();
        !state.removal_scheduled
    }

    /// Stops all deliveries.
    pub(crate) async fn stop_forwards(&self) {
        self.outbox().stop.cancel();
        self.remove_delivered().await;
    }
}
