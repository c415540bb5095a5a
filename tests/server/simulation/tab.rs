//! One browser tab: the real session, driven as `duplex-leptos` drives it in a browser, and a diary of all its effects, which is
//! checked against what it may do. Knows no schedule.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duplex_leptos::{
    status::{SessionStatus, TopicStatus},
    testing::{Body, CommandOutcome, Effect, Input, Session, TopicUpdate},
};
use duplex_protocol::{
    cursor::{Cursor, Seq},
    presence::Presence,
    session::{CommandId, ResetReason},
    topic::{Delivery, Topic as _, TopicName},
};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::lines::{Connection, Heard, Means};
use super::random::Random;
use crate::harness::kinds::{Note, Notes, NotesState};

/// A timer that is further away than any simulation is long.
const NEVER: Duration = Duration::from_secs(1_000_000);
/// So many attempts within so many milliseconds are a storm.
const STORM: (usize, u64) = (40, 5_000);
/// So many inputs at one moment do not end.
const AT_ONCE: u64 = 20_000;

/// What a visitor does, or a browser.
#[derive(Debug, Clone)]
pub enum Act {
    Send {
        topic: TopicName,
        text: String,
    },
    /// Takes the newest command back.
    Cancel,
    Online(bool),
    Visible(bool),
    Frozen(bool),
    Leave(TopicName),
    /// `anew`: with nothing of what it had.
    Join {
        topic: TopicName,
        anew: bool,
    },
    Quit,
}

/// What became of a command, in the end.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Accepted,
    Cancelled,
    Rejected(String),
}

#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub joined: bool,
    pub state: NotesState,
    pub cursor: Option<Cursor>,
    /// Everything that was ever shown, in the order in which it was.
    pub events: Vec<(Seq, Note)>,
    pub states: Vec<(Seq, NotesState)>,
    /// Why each state came, and what was there before it.
    pub resets: Vec<(ResetReason, Option<Cursor>)>,
    pub status: Option<TopicStatus>,
    pub presence: Presence,
}

#[derive(Debug, Default)]
pub struct Diary {
    pub topics: BTreeMap<TopicName, Seen>,
    pub sent: Vec<(CommandId, TopicName, String)>,
    pub ends: HashMap<CommandId, End>,
    pub link: SessionStatus,
    opens: Vec<u64>,
    /// What must not be, and when.
    pub fault: Option<String>,
    /// Of everything that was said and when.
    pub trace: u64,
    pub quit: bool,
}

pub struct Tab {
    pub name: String,
    session: Session,
    connections: HashMap<u32, Connection>,
    means: Means,
    random: Random,
    began: Instant,
    cancelling: Option<CommandId>,
    /// When something last happened, and how much happened then.
    busy: (u64, u64),
    diary: Arc<Mutex<Diary>>,
}

impl Tab {
    pub fn new(name: String, means: Means, random: Random, began: Instant, diary: Arc<Mutex<Diary>>) -> Self {
        Self {
            name,
            session: Session::new(String::new()),
            connections: HashMap::new(),
            means,
            random,
            began,
            cancelling: None,
            busy: (0, 0),
            diary,
        }
    }

    /// Until the visitor quits.
    pub async fn run(mut self, mut heard: mpsc::UnboundedReceiver<Heard>, mut acts: mpsc::UnboundedReceiver<Act>) {
        // What must not be may be without end: the clock would never move again.
        while self.diary.lock().unwrap().fault.is_none() {
            let wake = self.session.wake_at().map_or(NEVER, Duration::from_millis);
            let next = timeout_at(self.began + wake, async {
                tokio::select! {
                    biased;
                    Some(act) = acts.recv() => Ok(act),
                    Some(heard) = heard.recv() => Err(heard),
                }
            });
            match next.await {
                Err(_) => self.input(Input::Timer),
                Ok(Ok(Act::Quit)) => break,
                Ok(Ok(act)) => self.act(act),
                Ok(Err(heard)) => self.hear(heard),
            }
        }
        self.connections.clear();
        self.diary.lock().unwrap().quit = true;
    }

    fn hear(
        &mut self,
        Heard {
            connection,
            question,
            input,
        }: Heard,
    ) {
        let known = self.connections.get(&connection);
        // Of a connection that is gone only a post is heard, and the session knows what that is worth.
        if question.is_some() && !known.is_some_and(|known| known.is_newest(question)) {
            return;
        }
        if matches!(input, Input::Closed { .. }) {
            self.connections.remove(&connection);
        }
        self.input(input);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Send { topic, text } => self.send(topic, text),
            Act::Cancel => {
                let newest = self.diary.lock().unwrap().sent.last().map(|(id, ..)| id.clone());
                if let Some(id) = newest {
                    self.cancelling = Some(id.clone());
                    self.input(Input::Cancel { id });
                    self.cancelling = None;
                }
            }
            Act::Online(online) => self.input(Input::Online(online)),
            Act::Visible(visible) => self.input(Input::Visible(visible)),
            Act::Frozen(true) => self.input(Input::Freeze),
            Act::Frozen(false) => self.input(Input::Resume),
            Act::Leave(topic) => {
                let was = std::mem::take(
                    &mut self
                        .diary
                        .lock()
                        .unwrap()
                        .topics
                        .entry(topic.clone())
                        .or_default()
                        .joined,
                );
                if was {
                    self.input(Input::Unsubscribe { topic });
                }
            }
            Act::Join { topic, anew } => self.join(topic, anew),
            Act::Quit => {}
        }
    }

    fn send(&mut self, topic: TopicName, text: String) {
        let bits = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        let id = CommandId::without_time(bits);
        let body = Body::of(&Note::Add(text.clone())).unwrap();
        self.diary.lock().unwrap().sent.push((id.clone(), topic.clone(), text));
        self.input(Input::Send { topic, id, body });
    }

    fn join(&mut self, topic: TopicName, anew: bool) {
        let cursor = {
            let mut diary = self.diary.lock().unwrap();
            let seen = diary.topics.entry(topic.clone()).or_default();
            if std::mem::replace(&mut seen.joined, true) {
                return;
            }
            seen.cursor = seen.cursor.filter(|_| !anew);
            seen.cursor
        };
        let delivery = Delivery::Every;
        self.input(Input::Subscribe {
            topic,
            delivery,
            cursor,
        });
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn input(&mut self, input: Input) {
        let (now, random) = (self.now(), self.random.share());
        let heard = format!("{input:?}");
        self.busy = if self.busy.0 == now {
            (now, self.busy.1 + 1)
        } else {
            (now, 1)
        };
        if self.busy.1 > AT_ONCE {
            let status = self.session.status();
            self.wrong(&format!("{heard}, and no end of it: {status:?}"));
        }
        let effects = self.session.handle(now, random, input);
        if let Some(at) = self.session.wake_at().filter(|at| *at <= now) {
            let status = self.session.status();
            self.wrong(&format!(
                "{heard} leaves a timer of {at} ms that never lets go: {status:?}, {effects:?}"
            ));
        }
        for effect in effects {
            self.perform(effect);
        }
        self.diary.lock().unwrap().link = self.session.status();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Open {
                connection,
                transport,
                topics,
            } => {
                self.count_attempt();
                let opened = Connection::open(connection, transport, &topics, self.means.clone());
                self.connections.insert(connection, opened);
            }
            Effect::Request {
                connection,
                topics,
                immediate,
            } => {
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.ask(&topics, immediate);
                }
            }
            Effect::Send { connection, frame } => {
                if let Some(connection) = self.connections.get(&connection) {
                    connection.send(frame);
                }
            }
            Effect::Close { connection } => drop(self.connections.remove(&connection)),
            Effect::Notify { topic, update } => self.told(&topic, update),
            Effect::Identified(_) | Effect::NameRefused(_) => {}
        }
    }

    fn count_attempt(&self) {
        let mut diary = self.diary.lock().unwrap();
        diary.opens.push(self.now());
        let (many, soon) = STORM;
        let mut newest = diary.opens.iter().rev().take(many);
        if newest.len() == many && newest.next_back().is_some_and(|first| self.now() - first < soon) {
            drop(diary);
            self.wrong("a storm of attempts");
        }
    }

    fn wrong(&self, what: &str) {
        let when = self.now();
        let mut diary = self.diary.lock().unwrap();
        diary
            .fault
            .get_or_insert_with(|| format!("{} at {when} ms: {what}", self.name));
    }

    fn told(&mut self, topic: &TopicName, update: TopicUpdate) {
        let mut diary = self.diary.lock().unwrap();
        let diary = &mut *diary;
        let word = format!("{} {topic} {update:?}", self.now());
        for byte in word.bytes() {
            diary.trace = (diary.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let fault = match update {
            TopicUpdate::Command(id, outcome) => self.fate_of(diary, id, outcome),
            update => diary.topics.entry(topic.clone()).or_default().hear(update),
        };
        if let Err(what) = fault {
            let what = format!("{} at {} ms, {topic}: {what}", self.name, self.now());
            diary.fault.get_or_insert(what);
        }
    }

    fn fate_of(&self, diary: &mut Diary, id: CommandId, outcome: CommandOutcome) -> Result<(), String> {
        let end = match outcome {
            CommandOutcome::Sent | CommandOutcome::Held { .. } => return Ok(()),
            CommandOutcome::Settled if self.cancelling.as_ref() == Some(&id) => End::Cancelled,
            CommandOutcome::Settled => End::Accepted,
            CommandOutcome::Rejected(why) => End::Rejected(format!("{why:?}")),
        };
        match diary.ends.insert(id.clone(), end.clone()) {
            None => Ok(()),
            Some(before) => Err(format!("{} ended twice: {before:?}, then {end:?}", id.as_str())),
        }
    }
}

impl Seen {
    fn hear(&mut self, update: TopicUpdate) -> Result<(), String> {
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
                check,
                event,
            } => {
                let cursor = self.cursor.as_mut().ok_or("an event before a state")?;
                if seq != cursor.seq + 1 {
                    return Err(format!("the event {seq} after {}", cursor.seq));
                }
                (cursor.seq, cursor.check) = (seq, check);
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
