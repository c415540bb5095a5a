//! The session against a simulated server on a simulated network that blocks, breaks, goes silent and lies: whatever happens,
//! every command has its effect once, and a subscriber's seqs run on without a hole or a repetition.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use proptest::prelude::*;

use super::{Body, CommandOutcome, Effect, Input, Session, TopicUpdate, Topics};
use crate::session::outbox::MAX_QUEUED;
use crate::session::transport_policy::Millis;
use crate::status::{Phase, TopicStatus, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{
    Answer, ClientFrame, Closing, CommandId, Rejection, ResetReason, ServerFrame, SessionId, Verdict, Welcome,
};
use duplex_protocol::topic::{Delivery, TopicName};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Send(u8),
    Cancel,
    /// Somebody else's event.
    Other(u8),
    Online(bool),
    Visible(bool),
    Frozen(bool),
    /// The server is gone, or back.
    Server(bool),
    /// WebSocket cannot pass: silently, or refused at once.
    Block {
        silent: bool,
    },
    Unblock,
    /// A proxy holds streams back.
    Buffer(bool),
    /// All connections end, and the client is notified.
    Cut,
    /// All connections go silent, and nobody is notified.
    Sever,
    Drain,
    /// The server repeats an event, or leaves one out.
    Repeat,
    Omit,
    /// The log is lost.
    NewEpoch,
    /// The server's clock is set, so many milliseconds after the time at which it was right.
    Clock(i64),
    /// The topic forgets every answer, and with them the time of the newest id.
    Forget,
    /// The topic takes nothing for so many milliseconds.
    Busy(u32),
    /// The component goes, or comes.
    Leave,
    Join,
}

const DAY: i64 = 24 * 60 * 60 * 1000;
/// What the server's clock shows at the beginning.
const BEGIN: i64 = 1_800_000_000_000;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..5).prop_map(Step::Send),
        1 => Just(Step::Cancel),
        4 => (1u8..5).prop_map(Step::Other),
        1 => any::<bool>().prop_map(Step::Online),
        1 => any::<bool>().prop_map(Step::Visible),
        1 => any::<bool>().prop_map(Step::Frozen),
        1 => any::<bool>().prop_map(Step::Server),
        1 => any::<bool>().prop_map(|silent| Step::Block { silent }),
        1 => Just(Step::Unblock),
        1 => any::<bool>().prop_map(Step::Buffer),
        2 => Just(Step::Cut),
        2 => Just(Step::Sever),
        1 => Just(Step::Drain),
        1 => Just(Step::Repeat),
        1 => Just(Step::Omit),
        1 => Just(Step::NewEpoch),
        1 => (-2 * DAY..2 * DAY).prop_map(Step::Clock),
        1 => Just(Step::Forget),
        2 => (1u32..30_000).prop_map(Step::Busy),
        1 => Just(Step::Leave),
        1 => Just(Step::Join),
    ]
}

/// What is under way.
#[derive(Debug)]
enum Parcel {
    ToServer {
        connection: u32,
        frame: ClientFrame,
    },
    Posted {
        connection: u32,
        frame: ClientFrame,
    },
    Asked {
        connection: u32,
        question: u32,
        topics: Topics,
        immediate: bool,
    },
    PollEnds {
        connection: u32,
        question: u32,
    },
    Beat {
        connection: u32,
        question: u32,
    },
    /// Dropped if the question is no longer the newest.
    ToClient {
        connection: u32,
        question: u32,
        input: Input,
    },
    Act(Step),
}

struct Remote {
    transport: Transport,
    /// Said what it asks for.
    topics: HashMap<TopicName, Seq>,
    question: u32,
    polling: bool,
    severed: bool,
    ended: bool,
    up_free: Millis,
    down_free: Millis,
}

struct World {
    session: Session,
    now: Millis,
    seed: u64,
    order: u64,
    parcels: BinaryHeap<Reverse<(Millis, u64)>>,
    contents: HashMap<u64, Parcel>,
    connections: HashMap<u32, Remote>,
    // The server.
    up: bool,
    blocked: Option<bool>,
    buffered: bool,
    epoch: u64,
    log: Vec<Option<CommandId>>,
    answers: HashMap<CommandId, Answer>,
    clock: i64,
    forgotten: u64,
    busy_until: Millis,
    omit: bool,
    // The visitor.
    sent: Vec<CommandId>,
    outcomes: HashMap<CommandId, CommandOutcome>,
    joined: bool,
    seen: Option<Cursor>,
    status: Option<TopicStatus>,
    opens: Vec<Millis>,
}

fn topic() -> TopicName {
    "chat/lobby".parse().unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            session: Session::new("page".to_owned()),
            now: 0,
            seed: seed | 1,
            order: 0,
            parcels: BinaryHeap::new(),
            contents: HashMap::new(),
            connections: HashMap::new(),
            up: true,
            blocked: None,
            buffered: false,
            epoch: 1,
            log: vec![None; 3],
            answers: HashMap::new(),
            clock: BEGIN,
            forgotten: 0,
            busy_until: 0,
            omit: false,
            sent: Vec::new(),
            outcomes: HashMap::new(),
            joined: false,
            seen: None,
            status: None,
            opens: Vec::new(),
        };
        world.act(Step::Join);
        world
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    fn post(&mut self, at: Millis, parcel: Parcel) {
        self.order += 1;
        self.parcels.push(Reverse((at, self.order)));
        self.contents.insert(self.order, parcel);
    }

    fn cursor(&self) -> Cursor {
        Cursor::new(Epoch::new(self.epoch), self.log.len() as Seq)
    }

    // The client.

    fn input(&mut self, input: Input) {
        let random = (self.random() % 1000) as f64 / 1000.0;
        let effects = self.session.handle(self.now, random, input);
        assert!(
            self.session.wake_at().is_none_or(|at| at > self.now),
            "a timer that never lets go"
        );
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Open {
                connection,
                transport,
                topics,
            } => self.open(connection, transport, topics),
            Effect::Request {
                connection,
                topics,
                immediate,
            } => self.ask(connection, topics, immediate),
            Effect::Send { connection, frame } => self.up(connection, frame),
            Effect::Close { connection } => drop(self.connections.remove(&connection)),
            Effect::Notify { update, .. } => self.notified(update),
            Effect::Identified(_) | Effect::NameRefused(_) => (),
        }
    }

    fn notified(&mut self, update: TopicUpdate) {
        match update {
            TopicUpdate::State { cursor, .. } => self.seen = Some(cursor),
            TopicUpdate::Event { seq, .. } => {
                let seen = self.seen.as_mut().expect("an event before a state");
                assert_eq!(seq, seen.seq + 1, "a hole or a repetition");
                seen.seq = seq;
            }
            TopicUpdate::Status(status) => self.status = Some(status),
            TopicUpdate::Command(_, CommandOutcome::Sent | CommandOutcome::Held { .. }) | TopicUpdate::Presence(_) => {}
            TopicUpdate::Command(id, outcome) => {
                assert!(self.outcomes.insert(id, outcome).is_none(), "two outcomes");
            }
        }
    }

    // The network.

    fn open(&mut self, connection: u32, transport: Transport, topics: Topics) {
        self.opens.push(self.now);
        let remote = Remote {
            transport,
            topics: HashMap::new(),
            question: 0,
            polling: false,
            severed: false,
            ended: false,
            up_free: self.now,
            down_free: self.now,
        };
        self.connections.insert(connection, remote);
        if transport != Transport::WebSocket {
            return self.ask(connection, topics, true);
        }
        match self.blocked {
            _ if !self.up => self.end(connection, code::ABNORMAL),
            Some(true) => self.connections.get_mut(&connection).unwrap().severed = true,
            Some(false) => self.end(connection, code::ABNORMAL),
            None => {
                let encoding = Encoding::Postcard;
                self.down(connection, Input::Opened { connection, encoding });
            }
        }
    }

    fn ask(&mut self, connection: u32, topics: Topics, immediate: bool) {
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        remote.question += 1;
        (remote.polling, remote.topics) = (false, HashMap::new());
        let (question, at) = (remote.question, self.now + 20);
        let parcel = Parcel::Asked {
            connection,
            question,
            topics,
            immediate,
        };
        self.post(at, parcel);
    }

    fn up(&mut self, connection: u32, frame: ClientFrame) {
        let delay = 5 + self.random() % 100;
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        if remote.transport == Transport::WebSocket {
            remote.up_free = remote.up_free.max(self.now + delay);
            let at = remote.up_free;
            self.post(at, Parcel::ToServer { connection, frame });
        } else {
            self.post(self.now + delay, Parcel::Posted { connection, frame });
        }
    }

    fn down(&mut self, connection: u32, input: Input) {
        let delay = 5 + self.random() % 100;
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        if remote.severed || remote.ended || (self.buffered && remote.transport == Transport::Sse) {
            return;
        }
        remote.down_free = remote.down_free.max(self.now + delay);
        let (at, question) = (remote.down_free, remote.question);
        self.post(
            at,
            Parcel::ToClient {
                connection,
                question,
                input,
            },
        );
    }

    fn server_sends(&mut self, connection: u32, frame: ServerFrame) {
        self.down(connection, Input::Frame { connection, frame });
    }

    fn end(&mut self, connection: u32, code: u16) {
        self.down(connection, Input::Closed { connection, code });
        if let Some(remote) = self.connections.get_mut(&connection) {
            remote.ended = true;
        }
    }

    // The server.

    fn dispatch(&mut self, connection: u32, frame: ClientFrame) {
        if !self.up
            || self
                .connections
                .get(&connection)
                .is_none_or(|remote| remote.severed || remote.ended)
        {
            return;
        }
        match frame {
            ClientFrame::Hello { .. } => self.welcome(connection),
            ClientFrame::Subscribe { topic, cursor } => self.subscribe(connection, topic, cursor),
            ClientFrame::Unsubscribe { topic } => {
                self.connections.get_mut(&connection).unwrap().topics.remove(&topic);
            }
            ClientFrame::Command { id, .. } => {
                let reply = self.decide(id);
                self.server_sends(connection, reply);
            }
            ClientFrame::Ping { nonce } => self.server_sends(connection, ServerFrame::Pong { nonce }),
            ClientFrame::Activity { .. } | ClientFrame::Rename { .. } => (),
        }
    }

    fn welcome(&mut self, connection: u32) {
        let person = Person {
            id: PersonId("p".to_owned()),
            name: String::new(),
        };
        let welcome = Welcome {
            session: SessionId("s".to_owned()),
            person,
            build: "page".to_owned(),
            node: "n".to_owned(),
            beat_ms: 10_000,
            now_ms: self.server_time(),
        };
        self.server_sends(connection, ServerFrame::Welcome(welcome));
    }

    fn verdict(&self, cursor: Option<Cursor>) -> (Verdict, Seq) {
        let head = self.cursor();
        match cursor {
            Some(cursor) if cursor.epoch == head.epoch && cursor.seq <= head.seq => {
                let replayed = head.seq - cursor.seq;
                (Verdict::Resumed { replayed, head }, cursor.seq)
            }
            _ => {
                let (reason, state) = (ResetReason::New, Blob(b"0".to_vec()));
                (
                    Verdict::Reset {
                        reason,
                        cursor: head,
                        state,
                    },
                    head.seq,
                )
            }
        }
    }

    fn subscribe(&mut self, connection: u32, topic: TopicName, cursor: Option<Cursor>) {
        let (verdict, from) = self.verdict(cursor);
        self.connections
            .get_mut(&connection)
            .unwrap()
            .topics
            .insert(topic.clone(), from);
        self.server_sends(connection, ServerFrame::Verdict { topic, verdict });
        self.push(connection);
    }

    /// Everything that the connection has not been given.
    fn push(&mut self, connection: u32) {
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        let Some(from) = remote.topics.get_mut(&topic()) else {
            return;
        };
        let from = std::mem::replace(from, self.log.len() as Seq);
        for seq in from + 1..=self.log.len() as Seq {
            self.server_sends(connection, event(seq));
        }
    }

    fn asked(&mut self, connection: u32, question: u32, topics: Topics, immediate: bool) {
        let Some(remote) = self
            .connections
            .get_mut(&connection)
            .filter(|remote| remote.question == question)
        else {
            return;
        };
        if remote.severed {
            return;
        }
        if !self.up {
            return self.end(connection, code::ABNORMAL);
        }
        if remote.transport == Transport::Sse {
            self.welcome(connection);
            for (topic, cursor) in topics {
                self.subscribe(connection, topic, cursor);
            }
            return self.post(self.now + 15_000, Parcel::Beat { connection, question });
        }
        let update = topics.iter().any(|(_, cursor)| *cursor != Some(self.cursor()));
        if update || immediate {
            let mut frames = 0;
            for (topic, cursor) in topics {
                if cursor != Some(self.cursor()) {
                    self.subscribe(connection, topic, cursor);
                    frames += 1;
                }
            }
            self.connections.get_mut(&connection).unwrap().topics.clear();
            self.down(connection, Input::PollAnswered { connection, frames });
        } else {
            let remote = self.connections.get_mut(&connection).unwrap();
            remote.polling = true;
            for (topic, cursor) in topics {
                remote.topics.insert(topic, cursor.unwrap().seq);
            }
            self.post(self.now + 20_000, Parcel::PollEnds { connection, question });
        }
    }

    fn end_poll(&mut self, connection: u32, question: u32) {
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        if remote.question == question && std::mem::take(&mut remote.polling) {
            self.down(connection, Input::PollAnswered { connection, frames: 0 });
        }
    }

    fn server_time(&self) -> u64 {
        self.clock.saturating_add_unsigned(self.now).unsigned_abs()
    }

    /// As the server's topics do it.
    fn decide(&mut self, id: CommandId) -> ServerFrame {
        let known = self.answers.get(&id).cloned();
        let again = known.is_some();
        let answer = known.unwrap_or_else(|| self.answer(&id));
        ServerFrame::Reply {
            id,
            answer,
            duplicate: again,
        }
    }

    fn answer(&mut self, id: &CommandId) -> Answer {
        let (time, now) = (id.time().unwrap(), self.server_time());
        let now_ms = now.max(self.forgotten + 1);
        let too_old = |no_effect| Answer::Rejected(Rejection::IdTooOld { no_effect, now_ms });
        let answer = if time <= self.forgotten {
            too_old(false)
        } else if time > (now + 60_000).max(now_ms) {
            return Answer::Rejected(Rejection::IdTooNew { now_ms });
        } else if time < now.saturating_sub(DAY.unsigned_abs()) {
            too_old(true)
        } else if self.now < self.busy_until {
            let retry_after_ms = (self.busy_until - self.now) as u32;
            return Answer::Rejected(Rejection::TooFast { retry_after_ms });
        } else {
            self.append(Some(id.with_time(0)));
            let seq = self.log.len() as Seq;
            Answer::Accepted { seq }
        };
        self.answers.insert(id.clone(), answer.clone());
        answer
    }

    fn append(&mut self, by: Option<CommandId>) {
        self.log.push(by);
        let seq = self.log.len() as Seq;
        let connections: Vec<u32> = self.connections.keys().copied().collect();
        let omit = std::mem::take(&mut self.omit);
        for connection in connections {
            let remote = self.connections.get_mut(&connection).unwrap();
            let poll = std::mem::take(&mut remote.polling);
            if omit && let Some(from) = remote.topics.get_mut(&topic()) {
                *from = seq;
            }
            self.push(connection);
            if poll {
                self.connections.get_mut(&connection).unwrap().topics.clear();
                self.down(connection, Input::PollAnswered { connection, frames: 1 });
            }
        }
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToServer { connection, frame } => self.dispatch(connection, frame),
            Parcel::Posted { connection, frame } => {
                let ClientFrame::Command { id, .. } = frame else { return };
                let lucky = !self.random().is_multiple_of(10);
                if self.up && lucky {
                    let frame = self.decide(id);
                    let at = self.now + 30;
                    let input = Input::Frame { connection, frame };
                    self.post(
                        at,
                        Parcel::ToClient {
                            connection,
                            question: u32::MAX,
                            input,
                        },
                    );
                } else {
                    if lucky {
                        self.decide(id.clone());
                    }
                    self.input(Input::SendFailed {
                        connection,
                        id,
                        status: None,
                    });
                }
            }
            Parcel::Asked {
                connection,
                question,
                topics,
                immediate,
            } => self.asked(connection, question, topics, immediate),
            Parcel::PollEnds { connection, question } => self.end_poll(connection, question),
            Parcel::Beat { connection, question } => {
                if self
                    .connections
                    .get(&connection)
                    .is_some_and(|remote| remote.question == question)
                {
                    self.server_sends(connection, ServerFrame::Pong { nonce: 0 });
                    self.post(self.now + 15_000, Parcel::Beat { connection, question });
                }
            }
            Parcel::ToClient {
                connection,
                question,
                input,
            } => {
                let current = self
                    .connections
                    .get(&connection)
                    .is_some_and(|remote| !remote.severed && (question == u32::MAX || remote.question == question));
                if current {
                    self.input(input);
                }
            }
            Parcel::Act(step) => self.act(step),
        }
    }

    // What befalls them.

    fn act(&mut self, step: Step) {
        let connections: Vec<u32> = self.connections.keys().copied().collect();
        match step {
            Step::Send(count) => (0..count).for_each(|_| self.send_command()),
            Step::Cancel => {
                if let Some(id) = self.sent.last().cloned() {
                    self.input(Input::Cancel { id });
                }
            }
            Step::Other(count) => (0..count).for_each(|_| self.append(None)),
            Step::Online(online) => self.input(Input::Online(online)),
            Step::Visible(visible) => self.input(Input::Visible(visible)),
            Step::Frozen(true) => self.input(Input::Freeze),
            Step::Frozen(false) => self.input(Input::Resume),
            Step::Server(up) => {
                self.up = up;
                if !up {
                    self.end_all();
                }
            }
            Step::Block { silent } => {
                self.blocked = Some(silent);
                self.end_all();
            }
            Step::Unblock => self.blocked = None,
            Step::Buffer(buffered) => self.buffered = buffered,
            Step::Cut => self.end_all(),
            Step::Sever => self.connections.values_mut().for_each(|remote| remote.severed = true),
            Step::Drain => connections.into_iter().for_each(|connection| {
                let (reason, retry_after_ms) = (Closing::Draining, 3_000);
                self.server_sends(connection, ServerFrame::Closing { reason, retry_after_ms });
                self.end(connection, code::RESTART);
            }),
            Step::Repeat => connections
                .into_iter()
                .for_each(|connection| self.server_sends(connection, event(1))),
            Step::Omit => self.omit = true,
            Step::NewEpoch => self.lose_the_log(),
            Step::Clock(clock) => self.clock = BEGIN + clock,
            Step::Forget => {
                let times = self.answers.drain().filter_map(|(id, _)| id.time());
                self.forgotten = times.max().unwrap_or_default().max(self.forgotten);
            }
            Step::Busy(millis) => self.busy_until = self.now + Millis::from(millis),
            Step::Leave if self.joined => {
                self.joined = false;
                self.input(Input::Unsubscribe { topic: topic() });
            }
            Step::Join if !self.joined => {
                self.joined = true;
                let (topic, delivery, cursor) = (topic(), Delivery::Every, self.seen);
                self.input(Input::Subscribe {
                    topic,
                    delivery,
                    cursor,
                });
            }
            Step::Leave | Step::Join => (),
        }
    }

    fn end_all(&mut self) {
        let connections: Vec<u32> = self.connections.keys().copied().collect();
        connections
            .into_iter()
            .for_each(|connection| self.end(connection, code::ABNORMAL));
    }

    fn send_command(&mut self) {
        // As a browser whose clock stands at the beginning of time.
        let id = CommandId::at(0, self.sent.len() as u128);
        self.sent.push(id.clone());
        let (topic, body) = (topic(), Body::of(&1).unwrap());
        self.input(Input::Send { topic, id, body });
        assert!(self.session.status().queued <= MAX_QUEUED);
    }

    /// A server with another log starts: its connections are new, and what it knew is gone.
    fn lose_the_log(&mut self) {
        self.act(Step::Cut);
        self.log.clear();
        self.epoch += 1;
        self.answers.clear();
        self.forgotten = 0;
    }

    fn run(&mut self, until: Millis) {
        let mut steps = 0;
        while self.now < until {
            steps += 1;
            assert!(steps < 200_000, "a storm");
            let parcel = self.parcels.peek().map_or(until, |Reverse((at, _))| *at);
            let timer = self.session.wake_at().unwrap_or(until);
            // Timers ring late, and not in a fixed order with what arrives at the same time.
            let timer = timer + self.random() % 20;
            self.now = parcel.min(timer).min(until).max(self.now);
            if parcel <= timer
                && let Some(Reverse((_, number))) = self.parcels.pop()
            {
                let parcel = self.contents.remove(&number).unwrap();
                self.arrive(parcel);
            } else {
                self.input(Input::Timer);
            }
        }
    }

    fn heal(&mut self) {
        self.omit = false;
        for step in [
            Step::Server(true),
            Step::Unblock,
            Step::Buffer(false),
            Step::Frozen(false),
            Step::Visible(true),
            Step::Online(true),
            Step::Join,
        ] {
            self.act(step);
        }
        let (now, long) = (self.now, 15 * 60_000);
        self.run(now + long);
        // What a server left out is found out by what follows it.
        self.act(Step::Other(1));
        self.run(now + 2 * long);
    }
}

fn event(seq: Seq) -> ServerFrame {
    let event = Blob(b"0".to_vec());
    ServerFrame::Event {
        topic: topic(),
        seq,
        check: None,
        event,
    }
}

fn storm_free(opens: &[Millis]) -> bool {
    opens.windows(40).all(|window| window[39] - window[0] > 5_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(
        seed: u64,
        steps in prop::collection::vec((0u64..9_000, step()), 0..40),
    ) {
        let mut world = World::new(seed);
        let mut at = 0;
        for (pause, step) in steps {
            at += pause;
            world.post(at, Parcel::Act(step));
        }
        world.run(at + 1);
        world.heal();

        prop_assert_eq!(world.session.status().phase, Phase::Live);
        prop_assert_eq!(world.status, Some(TopicStatus::Live));
        prop_assert_eq!(world.seen, Some(world.cursor()), "all of it is shown");
        for id in &world.sent {
            let effects = world.log.iter().flatten().filter(|by| *by == id).count();
            match world.outcomes.get(id) {
                Some(CommandOutcome::Rejected(Rejection::IdTooOld { no_effect: false, .. })) => prop_assert!(effects <= 1),
                Some(CommandOutcome::Rejected(_)) => prop_assert_eq!(effects, 0),
                Some(_) => prop_assert!(effects <= 1),
                None => prop_assert!(false, "a command without a outcome"),
            }
        }
        prop_assert!(storm_free(&world.opens), "too many attempts");
    }

    /// Without a lost log and without cancelling, each command that was taken has its effect exactly once.
    #[test]
    fn every_command_has_its_effect_once(
        seed: u64,
        steps in prop::collection::vec((0u64..5_000, step()), 0..30),
    ) {
        let mut world = World::new(seed);
        let mut at = 0;
        for (pause, step) in steps {
            at += pause;
            if !matches!(step, Step::NewEpoch | Step::Cancel) {
                world.post(at, Parcel::Act(step));
            }
        }
        world.run(at + 1);
        world.heal();
        for id in &world.sent {
            let effects = world.log.iter().flatten().filter(|by| *by == id).count();
            match world.outcomes.get(id) {
                // Sent twice without an answer, and then forgotten: the visitor looks.
                Some(CommandOutcome::Rejected(Rejection::IdTooOld { no_effect: false, .. })) => prop_assert!(effects <= 1),
                outcome => prop_assert_eq!(effects, usize::from(outcome == Some(&CommandOutcome::Settled))),
            }
        }
    }
}

#[test]
fn blocked_websockets_and_held_streams_lead_to_polling_and_back() {
    let mut world = World::new(7);
    world.act(Step::Block { silent: true });
    world.act(Step::Buffer(true));
    world.run(20_000);
    assert_eq!(world.session.status().transport, Some(Transport::Poll));
    assert_eq!(world.status, Some(TopicStatus::Live));
    world.act(Step::Send(3));
    world.act(Step::Other(2));
    world.run(30_000);
    assert_eq!(world.outcomes.len(), 3);
    assert_eq!(world.seen, Some(world.cursor()));
    world.act(Step::Unblock);
    world.run(200_000);
    assert_eq!(world.session.status().transport, Some(Transport::WebSocket));
    assert_eq!(world.status, Some(TopicStatus::Live));
}

#[test]
fn a_quiet_stream_is_kept() {
    let mut world = World::new(3);
    world.act(Step::Block { silent: false });
    world.run(10_000);
    assert_eq!(world.session.status().transport, Some(Transport::Sse));
    let opens = world.opens.iter().filter(|at| **at > 10_000).count();
    world.run(50_000);
    assert_eq!(world.opens.iter().filter(|at| **at > 10_000).count(), opens);
}
