//! A topic's task: it alone decides, appends, applies and publishes. Knows no session and no transport.
//!
//! The memory runs ahead of the log only within `Task::keep`; whatever fails there, the memory is thrown away and made anew from
//! the log, so that nothing uncommitted is ever seen. Everything it is asked stands in one queue: callers may go at any time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::batch::{Batch, Broken, Source};
use super::frames;
use super::handle::{Ask, Board, Command};
use super::redaction::{Plan, append};
use super::shared_state::SharedState;
use super::stats::add;
use crate::hub::Hub;
use crate::log::{Head, LogError};
use crate::topic::event_frame::PerEncoding;
use crate::topic::projection::{LoadError, Memory, Tail, load};
use crate::topic::subscribers::Pace;
use crate::{clock, limits, lock};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, Denied, Rejection};
use duplex_protocol::topic::TopicName;

pub(crate) struct Task {
    hub: Hub,
    board: Arc<Board>,
    asks: mpsc::Receiver<Ask>,
    /// None after a failure, until the log can be read again.
    memory: Option<Memory>,
    /// The state as it was last asked for, and its seq.
    states: PerEncoding<Option<Arc<SharedState>>>,
    pace: Pace,
    /// Since when nobody has a handle.
    idle: Option<Instant>,
    /// When to try the log again.
    retry: Option<Instant>,
    /// The newest event when a snapshot was last tried.
    snapshot_tried: Seq,
    /// Its place is needed.
    tired: bool,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Awake,
    Closing,
    /// The log is not what it was; who opens the topic anew may find it whole.
    Over,
}

/// The log cannot be read now.
struct NotReady;

impl Task {
    pub(crate) fn new(hub: Hub, board: Arc<Board>, asks: mpsc::Receiver<Ask>, memory: Memory) -> Self {
        Self {
            hub,
            board,
            asks,
            snapshot_tried: memory.snapshot,
            memory: Some(memory),
            states: PerEncoding::default(),
            pace: Pace::default(),
            idle: None,
            retry: None,
            tired: false,
            life: Life::Awake,
        }
    }

    pub(crate) async fn run(&mut self) {
        let mut waiting = Vec::with_capacity(limits::BATCH_COMMANDS);
        while self.life == Life::Awake {
            let now = Instant::now();
            let alarm = self.board.crowd.tend(&mut self.pace, now);
            let sleepy = self.sleepy(now);
            let timer = alarm.into_iter().chain(sleepy).chain(self.retry).min();
            tokio::select! {
                taken = self.asks.recv_many(&mut waiting, limits::BATCH_COMMANDS) => match taken {
                    0 => return,
                    _ => {
                        self.serve(&mut waiting).await;
                        if std::mem::take(&mut self.tired) && self.is_deserted() && self.fall_asleep().await {
                            return;
                        }
                    }
                },
                () = self.board.crowd.stirred() => self.idle = None,
                () = until(timer) => {
                    let now = Instant::now();
                    if self.retry.is_some_and(|at| at <= now) {
                        let _ = self.ready().await;
                    }
                    if sleepy.is_some_and(|at| at <= now) && self.fall_asleep().await {
                        return;
                    }
                }
            }
        }
        self.end(waiting).await;
    }

    /// When to fall asleep, if nobody is here.
    fn sleepy(&mut self, now: Instant) -> Option<Instant> {
        if self.is_deserted() {
            Some(*self.idle.get_or_insert(now) + limits::TOPIC_IDLE)
        } else {
            self.idle = None;
            None
        }
    }

    fn is_deserted(&self) -> bool {
        // Until the log can be read again, an append may have been kept without an answer: its forwards are taken up then.
        self.memory.is_some() && self.board.handles.load(Ordering::Acquire) == 0 && self.board.crowd.set().is_empty()
    }

    /// The snapshot comes first, so that nothing is left to do once the topic is off the list: whoever opens it from then on
    /// starts it from the log, and whoever did before keeps it awake.
    async fn fall_asleep(&mut self) -> bool {
        self.idle = None;
        self.snapshot().await;
        let board = &self.board;
        self.hub.remove_if(board, || self.is_deserted() && self.asks.is_empty())
    }

    async fn end(&mut self, mut waiting: Vec<Ask>) {
        if self.life == Life::Closing {
            while let Ok(ask) = self.asks.try_recv() {
                waiting.push(ask);
                if waiting.len() == limits::BATCH_COMMANDS {
                    self.serve(&mut waiting).await;
                }
            }
            self.serve(&mut waiting).await;
            self.snapshot().await;
        }
    }

    /// Between two commits: who asks for the state gets the committed one.
    async fn serve(&mut self, asks: &mut Vec<Ask>) {
        let mut commands = Vec::with_capacity(asks.len());
        for ask in asks.drain(..) {
            match ask {
                Ask::Command(command) => commands.push(command),
                Ask::State { encoding, reply } => drop(reply.send(self.state(encoding).await)),
                Ask::Lists { topic, reply } => drop(reply.send(self.lists(&topic).await)),
                Ask::Rest => self.tired = true,
                Ask::Close => self.life = Life::Closing,
            }
        }
        if !commands.is_empty() {
            self.command(commands).await;
            self.snapshot_if_due().await;
        }
    }

    async fn lists(&mut self, topic: &TopicName) -> bool {
        let ready = self.ready().await.is_ok();
        ready && self.memory.as_ref().is_some_and(|memory| memory.fold.lists(topic))
    }

    async fn state(&mut self, encoding: Encoding) -> Result<Arc<SharedState>, Denied> {
        self.ready().await.map_err(|NotReady| Denied::Unavailable)?;
        let memory = self.memory.as_ref().ok_or(Denied::Unavailable)?;
        let known = self.states.get_mut(encoding);
        if let Some(state) = known.as_ref().filter(|state| state.cursor().seq == memory.head) {
            return Ok(Arc::clone(state));
        }
        let state = memory.fold.state(encoding).map_err(|error| {
            tracing::error!(topic = %self.board.name, ?encoding, "no state: {error}");
            Denied::Unavailable
        })?;
        let cursor = Cursor::new(self.board.epoch, memory.head).with_check(memory.check);
        let state = Arc::new(SharedState::new(self.board.name.clone(), encoding, cursor, state));
        *known = Some(Arc::clone(&state));
        Ok(state)
    }

    /// Answers all of them, each once. What is accepted was decided upon the newest state of all nodes; what is refused, upon the
    /// newest that this node knows.
    async fn command(&mut self, commands: Vec<Command>) {
        for _ in 0..limits::CONFLICT_ATTEMPTS {
            let Ok(()) = self.ready().await else { break };
            let Some(memory) = &mut self.memory else { break };
            let now = clock::now();
            let source = Source::new(&self.board, self.hub.outbox().has_room(&self.board.name));
            let mut batch = match Batch::decide(memory, source, &commands, now) {
                Ok(batch) => batch,
                Err(broken) => return self.reject_broken(commands, broken).await,
            };
            match self.keep(&mut batch).await {
                Ok(plan) => return self.publish(batch, plan, commands, now),
                Err(LogError::Conflict { .. }) => {}
                Err(LogError::Full) => return self.reject_all(commands, &Rejection::StorageFull).await,
                Err(LogError::Unavailable(_)) => break,
            }
        }
        self.reject_all(commands, &Rejection::Unavailable).await;
    }

    /// One append for all. If it fails, the memory is gone.
    async fn keep(&mut self, batch: &mut Batch) -> Result<Option<Plan>, LogError> {
        let Some(memory) = self.memory.as_mut().filter(|_| !batch.entries.is_empty()) else {
            return Ok(None);
        };
        let expected = self.board.head();
        let last = expected + batch.made.len() as Seq;
        add(&self.board.tally.appends, 1);
        let failure = match append(&self.board, memory, batch, expected).await {
            Ok((seq, plan)) if seq == last => return Ok(plan),
            Ok((seq, _)) => LogError::Unavailable(format!("the log is at {seq} instead of {last}")),
            Err(error) => error,
        };
        add(&self.board.tally.failed_appends, 1);
        if matches!(failure, LogError::Unavailable(_)) {
            tracing::warn!(topic = %self.board.name, "not kept: {failure}");
        }
        self.memory = None;
        Err(failure)
    }

    /// Everything in the batch is durable.
    fn publish(&mut self, batch: Batch, plan: Option<Plan>, commands: Vec<Command>, now: clock::Millis) {
        let answers: Vec<_> = batch.answers().collect();
        if let Some(memory) = &mut self.memory {
            batch.remember(&mut memory.dedupe, &commands, now);
        }
        let events = batch.made.len() as u64;
        if let Some(plan) = &plan {
            self.forget(plan);
        }
        {
            let mut ring = lock::write(&self.board.ring);
            if let Some(plan) = plan {
                plan.show(&self.board, &mut ring);
            }
            for ((seq, made), check) in batch.made.into_iter().zip(batch.checks) {
                if seq == ring.head() + 1 {
                    frames::push(&mut ring, made.event, check, made.json.len());
                }
            }
            self.board.head.store(ring.head(), Ordering::Release);
        }
        if events > 0 {
            self.board.crowd.wake_all();
            add(&self.board.tally.events, events);
        }
        for (command, answer) in commands.into_iter().zip(answers) {
            self.answer(command, answer);
        }
        if !batch.forwards.is_empty() {
            self.hub.forward(batch.forwards);
        }
    }

    /// States from before hold what goes. The log has a snapshot of this moment.
    fn forget(&mut self, plan: &Plan) {
        self.states = PerEncoding::default();
        self.hub.withdraw_forwards(&self.board.name, |seq| plan.takes(seq));
        if let Some(memory) = &mut self.memory {
            memory.snapshot = memory.head;
            self.snapshot_tried = memory.head;
        }
        if let Some(first) = plan.first() {
            self.board.kept.store(first, Ordering::Release);
        }
    }

    fn answer(&self, command: Command, answer: Option<(Answer, bool)>) {
        let answer = answer.unwrap_or((Answer::Rejected(Rejection::Unavailable), false));
        let tally = &self.board.tally;
        let count = match &answer {
            (_, true) => &tally.again,
            (Answer::Accepted { .. }, false) => &tally.commands,
            (Answer::Rejected(_), false) => &tally.rejected,
        };
        add(count, 1);
        // Whoever asked may be gone.
        let _ = command.reply.send(answer);
    }

    /// Nothing of the batch had an effect. The memory is made anew, so that what another node appended is shown.
    async fn reject_all(&mut self, commands: Vec<Command>, why: &Rejection) {
        let _ = self.ready().await;
        for command in commands {
            self.answer(command, Some((Answer::Rejected(why.clone()), false)));
        }
    }

    /// The one that broke the state is not to be sent again; the others are.
    async fn reject_broken(&mut self, mut commands: Vec<Command>, broken: Broken) {
        let Broken { culprit, error } = broken;
        tracing::error!(topic = %self.board.name, "a command failed: {error}");
        self.memory = None;
        let refused = Answer::Rejected(Rejection::refused("failed"));
        let culprit = commands.remove(culprit);
        self.answer(culprit, Some((refused, false)));
        self.reject_all(commands, &Rejection::Unavailable).await;
    }

    /// Has a memory that is true to the log.
    async fn ready(&mut self) -> Result<(), NotReady> {
        if self.memory.is_some() {
            return Ok(());
        }
        let shown = self.board.head();
        match self.load(shown).await {
            Ok((memory, tail, head)) if head.epoch == self.board.epoch && memory.head >= shown => {
                self.board.kept.store(head.first, Ordering::Release);
                self.states = PerEncoding::default();
                self.memory = Some(memory);
                self.retry = None;
                self.show(tail);
                Ok(())
            }
            Err(LoadError::Log(error)) => {
                tracing::warn!(topic = %self.board.name, "the log cannot be read: {error}");
                self.retry = Some(Instant::now() + limits::LOG_RETRY);
                Err(NotReady)
            }
            other => {
                let why = other
                    .err()
                    .map_or("its log is not what it was".to_owned(), |error| error.to_string());
                tracing::error!(topic = %self.board.name, "the topic ends: {why}");
                self.retry = None;
                self.life = Life::Over;
                Err(NotReady)
            }
        }
    }

    /// With the forwards of an append that was kept and said to have failed.
    async fn load(&mut self, shown: Seq) -> Result<(Memory, Tail, Head), LoadError> {
        let (log, name) = (self.board.log.as_ref(), &self.board.name);
        let loaded = load(log, &self.board.kind, name, shown).await?;
        self.board.still_has(shown).await?;
        self.hub.take_up_forwards(name).await?;
        Ok(loaded)
    }

    fn show(&self, tail: Tail) {
        let news = !tail.events.is_empty();
        let mut ring = lock::write(&self.board.ring);
        frames::fill(&mut ring, tail, self.board.kind.delivery());
        self.board.head.store(ring.head(), Ordering::Release);
        drop(ring);
        if news {
            self.board.crowd.wake_all();
        }
    }

    async fn snapshot_if_due(&mut self) {
        let head = self.memory.as_ref().map_or(0, |memory| memory.head);
        if head >= self.snapshot_tried.saturating_add(limits::SNAPSHOT_EVENTS) {
            self.snapshot().await;
        }
    }

    /// Of a state that has news since the last one. A snapshot that fails costs nothing but a longer start.
    async fn snapshot(&mut self) {
        let Some(memory) = self.memory.as_mut().filter(|memory| memory.head > memory.snapshot) else {
            return;
        };
        self.snapshot_tried = memory.head;
        let board = &self.board;
        let state = match memory.fold.snapshot() {
            Ok(state) => state,
            Err(error) => return tracing::error!(topic = %board.name, "no snapshot: {error}"),
        };
        let retention = frames::retention(board.kind.as_ref());
        let kept = board
            .log
            .snapshot(&board.name, memory.head, state, retention, clock::now())
            .await;
        if let Err(error) = kept {
            return tracing::warn!(topic = %board.name, "no snapshot: {error}");
        }
        memory.snapshot = memory.head;
        if let Ok(records) = board.log.read(&board.name, 0, 1).await {
            let first = records.first().map_or(memory.head + 1, |first| first.seq);
            board.kept.store(first, Ordering::Release);
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
