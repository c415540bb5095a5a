//! A topic's task, the only writer of the topic: decides, appends, applies and publishes.
//!
//! The projection runs ahead of the log only within `Task::append`. If the append fails, the projection is discarded and rebuilt
//! from the log, so nothing uncommitted is ever published. What other nodes append is read from the log and published too. All requests go through one queue; callers may drop their futures.

mod delivered;
mod follow;
mod people;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::clock::{self, Millis};
use crate::hub::Hub;
use crate::limits;
use crate::log::LogError;
use crate::topic::batch::{Batch, BatchContext, BrokenState};
use crate::topic::encoded_state::EncodedState;
use crate::topic::event_frame::PerEncoding;
use crate::topic::frames;
use crate::topic::handle::TopicShared;
use crate::topic::projection::Projection;
use crate::topic::redaction::{self, RedactionPlan};
use crate::topic::request::{CommandRequest, TopicRequest};
use crate::topic::snapshot;
use crate::topic::stats::add;
use crate::topic::subscribers::PresenceThrottle;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, Denial, Rejection};
use duplex_protocol::topic::TopicName;

pub(crate) struct Task {
    hub: Hub,
    shared: Arc<TopicShared>,
    requests: mpsc::Receiver<TopicRequest>,
    /// `None` after a failure, until the log can be read again.
    projection: Option<Projection>,
    /// The last encoded states.
    states: PerEncoding<Option<Arc<EncodedState>>>,
    throttle: PresenceThrottle,
    /// The time since which the topic is idle.
    idle_since: Option<Instant>,
    /// The time of the next attempt to read the log.
    retry: Option<Instant>,
    /// The newest event when a snapshot was last attempted.
    last_snapshot_attempt: Seq,
    /// Whether the last append may be stored although it failed.
    append_unknown: bool,
    /// The newest event that another node appended, as far as this task has seen one.
    last_followed: Seq,
    /// While other nodes append too.
    contended_until: Option<Instant>,
    /// Set by [`TopicRequest::Sleep`].
    sleep_requested: bool,
    lifecycle: Lifecycle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifecycle {
    Running,
    Closing,
    /// The log changed unexpectedly. Opening the topic again may help.
    Failed,
}

/// Error: the log cannot be read.
struct LogUnavailable;

impl Task {
    pub(crate) fn new(
        hub: Hub,
        shared: Arc<TopicShared>,
        requests: mpsc::Receiver<TopicRequest>,
        projection: Projection,
    ) -> Self {
        Self {
            hub,
            shared,
            requests,
            last_snapshot_attempt: projection.snapshot,
            projection: Some(projection),
            states: PerEncoding::default(),
            throttle: PresenceThrottle::default(),
            idle_since: None,
            retry: None,
            append_unknown: false,
            last_followed: 0,
            contended_until: None,
            sleep_requested: false,
            lifecycle: Lifecycle::Running,
        }
    }

    pub(crate) async fn run(&mut self) {
        let mut waiting = Vec::with_capacity(limits::BATCH_COMMANDS);
        self.ask_presence();
        while self.lifecycle == Lifecycle::Running {
            if self.is_behind() {
                let _ = self.follow().await;
            }
            let now = Instant::now();
            let deadline = self.shared.subscribers.refresh(&mut self.throttle, now);
            let sleep_deadline = self.sleep_deadline(now);
            let shared_deadline = self.share_presence(now);
            let deadlines = [deadline, sleep_deadline, self.retry, shared_deadline];
            let timer = deadlines.into_iter().flatten().min();
            tokio::select! {
                received = self.requests.recv_many(&mut waiting, limits::BATCH_COMMANDS) => match received {
                    0 => return,
                    _ => {
                        self.serve(&mut waiting).await;
                        if std::mem::take(&mut self.sleep_requested) && self.is_idle() && self.fall_asleep().await {
                            return;
                        }
                    }
                },
                () = self.shared.subscribers.notified() => {
                    if self.shared.subscribers.take_local_change() {
                        self.idle_since = None;
                    }
                }
                () = sleep_until_some(timer) => {
                    let now = Instant::now();
                    if self.retry.take_if(|at| *at <= now).is_some() {
                        let _ = self.ensure_loaded().await;
                    }
                    if sleep_deadline.is_some_and(|at| at <= now) && self.fall_asleep().await {
                        return;
                    }
                }
            }
        }
        self.end(waiting).await;
    }

    /// The time at which the topic falls asleep, if it is idle.
    fn sleep_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.is_idle() {
            Some(*self.idle_since.get_or_insert(now) + limits::TOPIC_IDLE)
        } else {
            self.idle_since = None;
            None
        }
    }

    fn is_idle(&self) -> bool {
        // While the projection is missing, an append may have been stored without an answer; its forwards are reloaded with the
        // projection.
        self.projection.is_some()
            && self.shared.handles.load(Ordering::Acquire) == 0
            && self.shared.subscribers.presence().is_empty()
    }

    /// Returns whether the topic was removed. Stores the snapshot first, because afterwards a new task may already run. A handle
    /// that was opened before keeps the topic awake.
    async fn fall_asleep(&mut self) -> bool {
        self.idle_since = None;
        self.snapshot().await;
        let shared = &self.shared;
        self.hub
            .remove_if(shared, || self.is_idle() && self.requests.is_empty())
    }

    async fn end(&mut self, mut waiting: Vec<TopicRequest>) {
        if self.lifecycle == Lifecycle::Closing {
            while let Ok(request) = self.requests.try_recv() {
                waiting.push(request);
                if waiting.len() == limits::BATCH_COMMANDS {
                    self.serve(&mut waiting).await;
                }
            }
            self.serve(&mut waiting).await;
            self.snapshot().await;
        }
        self.end_presence();
    }

    /// Handles queued requests. State requests are answered before the commands are applied, so they see only committed state.
    async fn serve(&mut self, requests: &mut Vec<TopicRequest>) {
        let mut commands = Vec::with_capacity(requests.len());
        for request in requests.drain(..) {
            match request {
                TopicRequest::Command(command) => commands.push(command),
                TopicRequest::State { encoding, reply } => drop(reply.send(self.state(encoding).await)),
                TopicRequest::Follow { reply } => {
                    let followed = self.follow().await;
                    let _ = reply.send(followed.map_err(|LogUnavailable| Denial::Unavailable));
                }
                TopicRequest::Lists { topic, reply } => drop(reply.send(self.lists(&topic).await)),
                TopicRequest::Sleep => self.sleep_requested = true,
                TopicRequest::Close => self.lifecycle = Lifecycle::Closing,
            }
        }
        if !commands.is_empty() {
            self.handle_commands(commands).await;
            self.snapshot_if_due().await;
        }
    }

    async fn lists(&mut self, topic: &TopicName) -> bool {
        let loaded = self.ensure_loaded().await.is_ok();
        loaded
            && self
                .projection
                .as_ref()
                .is_some_and(|projection| projection.state.lists(topic))
    }

    async fn state(&mut self, encoding: Encoding) -> Result<Arc<EncodedState>, Denial> {
        self.ensure_loaded()
            .await
            .map_err(|LogUnavailable| Denial::Unavailable)?;
        let projection = self.projection.as_ref().ok_or(Denial::Unavailable)?;
        let known = self.states.get_mut(encoding);
        if let Some(state) = known.as_ref().filter(|state| state.cursor().seq == projection.head) {
            return Ok(Arc::clone(state));
        }
        let state = projection.state.state(encoding).map_err(|error| {
            tracing::error!(topic = %self.shared.name, ?encoding, "the state cannot be encoded: {error}");
            Denial::Unavailable
        })?;
        let cursor = Cursor::new(self.shared.epoch, projection.head).with_checksum(projection.checksum);
        let state = Arc::new(EncodedState::new(self.shared.name.clone(), encoding, cursor, state));
        *known = Some(Arc::clone(&state));
        Ok(state)
    }

    /// Answers every command once. An accepted command was decided on the newest committed state; a rejected one, on the newest
    /// state that this node knows.
    async fn handle_commands(&mut self, mut commands: Vec<CommandRequest>) {
        for _ in 0..limits::CONFLICT_ATTEMPTS {
            if self.is_behind() {
                let _ = self.follow().await;
            }
            let Ok(()) = self.ensure_loaded().await else { break };
            let Ok(()) = self.answer_delivered(&mut commands).await else {
                break;
            };
            let saved = self.save_if_contended();
            let Some(projection) = &mut self.projection else { break };
            let now = clock::now();
            let context = BatchContext::new(&self.shared, self.hub.outbox().has_room(&self.shared.name));
            let mut batch = match Batch::decide(projection, context, &commands, now) {
                Ok(batch) => batch,
                Err(broken) => return self.reject_broken(commands, broken).await,
            };
            match self.append(&mut batch).await {
                Ok(plan) => return self.publish(batch, plan, commands, now).await,
                Err(LogError::Conflict { .. }) => {
                    let Ok(()) = self.resolve_conflict(saved).await else {
                        break;
                    };
                }
                Err(LogError::Full) => return self.reject_all(commands, &Rejection::StorageFull).await,
                Err(LogError::Unavailable(_)) => break,
            }
        }
        self.reject_all(commands, &Rejection::Unavailable).await;
    }

    /// Appends the whole batch. After a conflict the projection is ahead of the log, and after another failure it is discarded.
    async fn append(&mut self, batch: &mut Batch) -> Result<Option<RedactionPlan>, LogError> {
        let Some(projection) = self.projection.as_mut().filter(|_| !batch.entries.is_empty()) else {
            return Ok(None);
        };
        let expected = self.shared.head();
        let last = expected + batch.events.len() as Seq;
        add(&self.shared.counters.appends, 1);
        let failure = match redaction::append(&self.shared, projection, batch, expected).await {
            Ok((seq, plan)) if seq == last => return Ok(plan),
            Ok((seq, _)) => LogError::Unavailable(format!("the log is at {seq} instead of {last}")),
            Err(error) => error,
        };
        add(&self.shared.counters.failed_appends, 1);
        if matches!(failure, LogError::Unavailable(_)) {
            tracing::warn!(topic = %self.shared.name, "the append failed: {failure}");
            self.append_unknown = true;
        }
        if !matches!(failure, LogError::Conflict { .. }) {
            self.projection = None;
        }
        Err(failure)
    }

    /// Publishes the batch, which is durable.
    async fn publish(&mut self, batch: Batch, plan: Option<RedactionPlan>, commands: Vec<CommandRequest>, now: Millis) {
        let answers: Vec<_> = batch.answers().collect();
        if let Some(projection) = &mut self.projection {
            batch.record_answers(&mut projection.dedupe, &commands, now);
        }
        let has_events = !batch.events.is_empty();
        add(&self.shared.counters.events, batch.events.len() as u64);
        if let Some(plan) = &plan {
            self.discard_redacted(plan);
        }
        let published = frames::publish(&self.shared, batch.events, batch.checksums, plan);
        for (command, answer) in commands.into_iter().zip(answers) {
            self.answer(command, answer);
        }
        if !batch.forwards.is_empty() {
            self.hub.forward(batch.forwards, self.last_followed);
        }
        if has_events
            && self.shared.is_shared
            && let Some(cluster) = self.hub.cluster()
        {
            cluster.announce(&self.shared.name, self.shared.head());
        }
        published.deliver(&self.shared).await;
    }

    /// Drops cached encodings of the redacted state. The log has a snapshot of it.
    fn discard_redacted(&mut self, plan: &RedactionPlan) {
        self.states = PerEncoding::default();
        self.hub
            .remove_redacted_forwards(&self.shared.name, |seq| plan.redacts(seq));
        if let Some(projection) = &mut self.projection {
            projection.snapshot = projection.head;
            self.last_snapshot_attempt = projection.head;
        }
        if let Some(first) = plan.first() {
            self.shared.oldest.store(first, Ordering::Release);
        }
    }

    fn answer(&self, command: CommandRequest, answer: Option<(Answer, bool)>) {
        let answer = answer.unwrap_or((Answer::Rejected(Rejection::Unavailable), false));
        let counters = &self.shared.counters;
        let count = match &answer {
            (_, true) => &counters.duplicates,
            (Answer::Accepted { .. }, false) => &counters.commands,
            (Answer::Rejected(_), false) => &counters.rejected,
        };
        add(count, 1);
        // The receiver may have been dropped.
        let _ = command.reply.send(answer);
    }

    /// Rejects a batch that was not stored. Reloads the projection first, so that another node's events are published.
    async fn reject_all(&mut self, commands: Vec<CommandRequest>, why: &Rejection) {
        let _ = self.ensure_loaded().await;
        for command in commands {
            self.answer(command, Some((Answer::Rejected(why.clone()), false)));
        }
    }

    /// Finally rejects the command that broke the state; rejects the others as retryable.
    async fn reject_broken(&mut self, mut commands: Vec<CommandRequest>, broken: BrokenState) {
        let BrokenState { command_index, error } = broken;
        tracing::error!(topic = %self.shared.name, "a command failed: {error}");
        self.projection = None;
        let rejected = Answer::Rejected(Rejection::custom("failed"));
        let command = commands.remove(command_index);
        self.answer(command, Some((rejected, false)));
        self.reject_all(commands, &Rejection::Unavailable).await;
    }

    async fn snapshot_if_due(&mut self) {
        let head = self.projection.as_ref().map_or(0, |projection| projection.head);
        if head >= self.last_snapshot_attempt.saturating_add(limits::SNAPSHOT_EVENTS) {
            self.snapshot().await;
        }
    }

    async fn snapshot(&mut self) {
        if let Some(projection) = &mut self.projection {
            self.last_snapshot_attempt = projection.head;
            snapshot::store_snapshot(&self.shared, projection).await;
        }
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
