//! One simulated browser tab: drives the real session machine as `duplex-leptos` does, and records and checks a trace of its
//! updates.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duplex_leptos::{
    status::{SessionStatus, TopicStatus},
    testing::{CommandProgress, Effect, EncodedCommand, Input, Session, TopicUpdate},
};
use duplex_protocol::{
    cursor::{Cursor, Seq},
    presence::Presence,
    session::{CommandId, ResetReason},
    topic::{Delivery, Topic as _, TopicName},
};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::connections::{ClientContext, Connection, ConnectionInput};
use super::random::Random;
use crate::harness::kinds::{Note, Notes, NotesState};

/// A time beyond the end of any run.
const NEVER: Duration = Duration::from_secs(1_000_000);
/// This many connection attempts within this many milliseconds are a reconnect storm.
const RECONNECT_STORM: (usize, u64) = (40, 5_000);
/// More inputs than this at one instant are an endless loop.
const MAX_INPUTS_AT_ONCE: u64 = 20_000;

/// An action of a visitor or of the browser.
#[derive(Debug, Clone)]
pub enum Action {
    Send {
        topic: TopicName,
        text: String,
    },
    /// Cancels the newest command.
    Cancel,
    Online(bool),
    Visible(bool),
    Frozen(bool),
    Leave(TopicName),
    /// `fresh` discards the cursor of an earlier subscription.
    Join {
        topic: TopicName,
        fresh: bool,
    },
    Quit,
}

/// The final outcome of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Accepted,
    Cancelled,
    Rejected(String),
}

/// One topic's part of a tab's trace.
#[derive(Debug, Default, Clone)]
pub struct TopicTrace {
    pub subscribed: bool,
    pub state: NotesState,
    pub cursor: Option<Cursor>,
    /// Every received event, in order.
    pub events: Vec<(Seq, Note)>,
    pub states: Vec<(Seq, NotesState)>,
    /// The reason of each received state, and the cursor before it.
    pub resets: Vec<(ResetReason, Option<Cursor>)>,
    pub status: Option<TopicStatus>,
    pub presence: Presence,
}

#[derive(Debug, Default)]
pub struct TabTrace {
    pub topics: BTreeMap<TopicName, TopicTrace>,
    pub sent: Vec<(CommandId, TopicName, String)>,
    pub outcomes: HashMap<CommandId, Outcome>,
    pub session: SessionStatus,
    opens: Vec<u64>,
    /// The first violation of an invariant, and its time.
    pub violation: Option<String>,
    /// A hash of all updates and their times.
    pub trace_hash: u64,
    pub quit: bool,
}

pub struct Tab {
    pub name: String,
    session: Session,
    connections: HashMap<u32, Connection>,
    context: ClientContext,
    random: Random,
    start: Instant,
    cancelling: Option<CommandId>,
    /// The time of the last input, and the number of inputs at that time.
    inputs_at: (u64, u64),
    trace: Arc<Mutex<TabTrace>>,
}

impl Tab {
    pub fn new(
        name: String,
        context: ClientContext,
        random: Random,
        start: Instant,
        trace: Arc<Mutex<TabTrace>>,
    ) -> Self {
        Self {
            name,
            session: Session::new(String::new()),
            connections: HashMap::new(),
            context,
            random,
            start,
            cancelling: None,
            inputs_at: (0, 0),
            trace,
        }
    }

    /// Runs until the visitor quits.
    pub async fn run(
        mut self,
        mut inputs: mpsc::UnboundedReceiver<ConnectionInput>,
        mut actions: mpsc::UnboundedReceiver<Action>,
    ) {
        // A violation may be an endless loop, which would keep the paused clock from advancing.
        while self.trace.lock().unwrap().violation.is_none() {
            let wake = self.session.wake_at().map_or(NEVER, Duration::from_millis);
            let next = timeout_at(self.start + wake, async {
                tokio::select! {
                    biased;
                    Some(action) = actions.recv() => Ok(action),
                    Some(input) = inputs.recv() => Err(input),
                }
            });
            match next.await {
                Err(_) => self.handle_input(Input::Timer),
                Ok(Ok(Action::Quit)) => break,
                Ok(Ok(action)) => self.perform_action(action),
                Ok(Err(input)) => self.on_connection_input(input),
            }
        }
        self.connections.clear();
        self.trace.lock().unwrap().quit = true;
    }

    fn on_connection_input(
        &mut self,
        ConnectionInput {
            connection,
            request,
            input,
        }: ConnectionInput,
    ) {
        let known = self.connections.get(&connection);
        // After a close only posts report inputs (`request` is `None`), which the session handles.
        if request.is_some() && !known.is_some_and(|known| known.is_newest(request)) {
            return;
        }
        if matches!(input, Input::Closed { .. }) {
            self.connections.remove(&connection);
        }
        self.handle_input(input);
    }

    fn perform_action(&mut self, action: Action) {
        match action {
            Action::Send { topic, text } => self.send(topic, text),
            Action::Cancel => {
                let newest = self.trace.lock().unwrap().sent.last().map(|(id, ..)| id.clone());
                if let Some(id) = newest {
                    self.cancelling = Some(id.clone());
                    self.handle_input(Input::Cancel { id });
                    self.cancelling = None;
                }
            }
            Action::Online(online) => self.handle_input(Input::Online(online)),
            Action::Visible(visible) => self.handle_input(Input::Visible(visible)),
            Action::Frozen(true) => self.handle_input(Input::Freeze),
            Action::Frozen(false) => self.handle_input(Input::Resume),
            Action::Leave(topic) => {
                let was_subscribed = std::mem::take(
                    &mut self
                        .trace
                        .lock()
                        .unwrap()
                        .topics
                        .entry(topic.clone())
                        .or_default()
                        .subscribed,
                );
                if was_subscribed {
                    self.handle_input(Input::Unsubscribe { topic });
                }
            }
            Action::Join { topic, fresh } => self.join(topic, fresh),
            Action::Quit => {}
        }
    }

    fn send(&mut self, topic: TopicName, text: String) {
        let bits = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        let id = CommandId::without_time(bits);
        let body = EncodedCommand::encode(&Note::Add(text.clone())).unwrap();
        self.trace.lock().unwrap().sent.push((id.clone(), topic.clone(), text));
        self.handle_input(Input::Send { topic, id, body });
    }

    fn join(&mut self, topic: TopicName, fresh: bool) {
        let cursor = {
            let mut trace = self.trace.lock().unwrap();
            let seen = trace.topics.entry(topic.clone()).or_default();
            if std::mem::replace(&mut seen.subscribed, true) {
                return;
            }
            seen.cursor = seen.cursor.filter(|_| !fresh);
            seen.cursor
        };
        let delivery = Delivery::Every;
        self.handle_input(Input::Subscribe {
            topic,
            delivery,
            cursor,
        });
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn handle_input(&mut self, input: Input) {
        let (now, random) = (self.now(), self.random.fraction());
        let description = format!("{input:?}");
        self.inputs_at = if self.inputs_at.0 == now {
            (now, self.inputs_at.1 + 1)
        } else {
            (now, 1)
        };
        if self.inputs_at.1 > MAX_INPUTS_AT_ONCE {
            let status = self.session.status();
            self.report_violation(&format!(
                "{description}: more than {MAX_INPUTS_AT_ONCE} inputs at one instant: {status:?}"
            ));
        }
        let effects = self.session.handle(now, random, input);
        if let Some(at) = self.session.wake_at().filter(|at| *at <= now) {
            let status = self.session.status();
            self.report_violation(&format!(
                "{description} left the timer at {at} ms, which is in the past: {status:?}, {effects:?}"
            ));
        }
        for effect in effects {
            self.apply_effect(effect);
        }
        self.trace.lock().unwrap().session = self.session.status();
    }

    fn apply_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Open {
                connection,
                transport,
                topics,
            } => {
                self.count_attempt();
                let opened = Connection::open(connection, transport, &topics, self.context.clone());
                self.connections.insert(connection, opened);
            }
            Effect::Request {
                connection,
                topics,
                immediate,
            } => {
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.request(&topics, immediate);
                }
            }
            Effect::Send { connection, frame } => {
                if let Some(connection) = self.connections.get(&connection) {
                    connection.send(frame);
                }
            }
            Effect::Close { connection } => drop(self.connections.remove(&connection)),
            Effect::Notify { topic, update } => self.on_update(&topic, update),
            Effect::Identified(_) | Effect::NameRejected(_) => {}
        }
    }

    fn count_attempt(&self) {
        let mut trace = self.trace.lock().unwrap();
        trace.opens.push(self.now());
        let (attempts, window) = RECONNECT_STORM;
        let mut newest = trace.opens.iter().rev().take(attempts);
        if newest.len() == attempts && newest.next_back().is_some_and(|first| self.now() - first < window) {
            drop(trace);
            self.report_violation(&format!("reconnect storm: {attempts} attempts within {window} ms"));
        }
    }

    fn report_violation(&self, description: &str) {
        let now = self.now();
        let mut trace = self.trace.lock().unwrap();
        trace
            .violation
            .get_or_insert_with(|| format!("{} at {now} ms: {description}", self.name));
    }

    fn on_update(&mut self, topic: &TopicName, update: TopicUpdate) {
        let mut trace = self.trace.lock().unwrap();
        let trace = &mut *trace;
        let line = format!("{} {topic} {update:?}", self.now());
        for byte in line.bytes() {
            trace.trace_hash = (trace.trace_hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let result = match update {
            TopicUpdate::Command(id, outcome) => self.record_outcome(trace, id, outcome),
            update => trace.topics.entry(topic.clone()).or_default().apply(update),
        };
        if let Err(violation) = result {
            let violation = format!("{} at {} ms, {topic}: {violation}", self.name, self.now());
            trace.violation.get_or_insert(violation);
        }
    }

    fn record_outcome(&self, trace: &mut TabTrace, id: CommandId, outcome: CommandProgress) -> Result<(), String> {
        let outcome = match outcome {
            CommandProgress::Sent | CommandProgress::RateLimited { .. } => return Ok(()),
            CommandProgress::Done if self.cancelling.as_ref() == Some(&id) => Outcome::Cancelled,
            CommandProgress::Done => Outcome::Accepted,
            CommandProgress::Rejected(why) => Outcome::Rejected(format!("{why:?}")),
        };
        match trace.outcomes.insert(id.clone(), outcome.clone()) {
            None => Ok(()),
            Some(before) => Err(format!(
                "{} has two outcomes: {before:?}, then {outcome:?}",
                id.as_str()
            )),
        }
    }
}

impl TopicTrace {
    fn apply(&mut self, update: TopicUpdate) -> Result<(), String> {
        match update {
            TopicUpdate::State {
                encoding,
                state,
                cursor,
                reason,
            } => {
                self.resets.push((reason, self.cursor));
                self.state = state.decode(encoding).map_err(|error| error.to_string())?;
                self.cursor = Some(cursor);
                self.states.push((cursor.seq, self.state.clone()));
            }
            TopicUpdate::Event {
                encoding,
                seq,
                checksum,
                event,
            } => {
                let cursor = self.cursor.as_mut().ok_or("an event before a state")?;
                if seq != cursor.seq + 1 {
                    return Err(format!("event {seq} follows {}", cursor.seq));
                }
                (cursor.seq, cursor.checksum) = (seq, checksum);
                let event: Note = event.decode(encoding).map_err(|error| error.to_string())?;
                Notes::apply(&mut self.state, seq, &event);
                self.events.push((seq, event));
            }
            TopicUpdate::Presence(presence) => self.presence = presence,
            TopicUpdate::Status(status) => self.status = Some(status),
            TopicUpdate::Command(..) => {}
        }
        Ok(())
    }
}
