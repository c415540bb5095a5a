//! Property tests of the session against a simulated server on a faulty simulated network: under all faults, every command has its
//! effect once, and a subscriber's seqs have no gap and no duplicate.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use proptest::prelude::*;

use super::{CommandProgress, Effect, EncodedCommand, Input, Session, TopicUpdate, Topics};
use crate::session::outbox::MAX_QUEUED;
use crate::session::transport_policy::Millis;
use crate::status::{Phase, TopicStatus, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{
    Answer, ClientFrame, CloseReason, CommandId, Rejection, ResetReason, ServerFrame, SessionId, Verdict, Welcome,
};
use duplex_protocol::topic::{Delivery, TopicName};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Send(u8),
    Cancel,
    /// An event by another visitor.
    OtherVisitorEvent(u8),
    Online(bool),
    Visible(bool),
    Frozen(bool),
    /// The server stops or starts.
    Server(bool),
    /// WebSockets are blocked: dropped silently, or rejected at once.
    Block {
        silent: bool,
    },
    Unblock,
    /// A proxy buffers streams.
    Buffer(bool),
    /// All connections end, and the client is notified.
    CloseAll,
    /// All connections go silent without a notification.
    Blackhole,
    Drain,
    /// The server repeats an event, or leaves one out.
    Repeat,
    DropEvent,
    /// The log is replaced.
    NewEpoch,
    /// The server's clock is set to this offset in milliseconds.
    Clock(i64),
    /// The topic forgets every answer, and remembers only the newest id's time.
    ForgetAnswers,
    /// The topic is rate-limited for this many milliseconds.
    RateLimit(u32),
    /// The component is unmounted or mounted.
    Leave,
    Join,
}

const DAY: i64 = 24 * 60 * 60 * 1000;
/// The server's clock at the start.
const START: i64 = 1_800_000_000_000;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..5).prop_map(Step::Send),
        1 => Just(Step::Cancel),
        4 => (1u8..5).prop_map(Step::OtherVisitorEvent),
        1 => any::<bool>().prop_map(Step::Online),
        1 => any::<bool>().prop_map(Step::Visible),
        1 => any::<bool>().prop_map(Step::Frozen),
        1 => any::<bool>().prop_map(Step::Server),
        1 => any::<bool>().prop_map(|silent| Step::Block { silent }),
        1 => Just(Step::Unblock),
        1 => any::<bool>().prop_map(Step::Buffer),
        2 => Just(Step::CloseAll),
        2 => Just(Step::Blackhole),
        1 => Just(Step::Drain),
        1 => Just(Step::Repeat),
        1 => Just(Step::DropEvent),
        1 => Just(Step::NewEpoch),
        1 => (-2 * DAY..2 * DAY).prop_map(Step::Clock),
        1 => Just(Step::ForgetAnswers),
        2 => (1u32..30_000).prop_map(Step::RateLimit),
        1 => Just(Step::Leave),
        1 => Just(Step::Join),
    ]
}

/// A scheduled task.
#[derive(Debug)]
enum Task {
    ToServer {
        connection: u32,
        frame: ClientFrame,
    },
    Posted {
        connection: u32,
        frame: ClientFrame,
    },
    Requested {
        connection: u32,
        request: u32,
        topics: Topics,
        immediate: bool,
    },
    PollTimeout {
        connection: u32,
        request: u32,
    },
    Keepalive {
        connection: u32,
        request: u32,
    },
    /// Dropped unless the request is the newest.
    ToClient {
        connection: u32,
        request: u32,
        input: Input,
    },
    Act(Step),
}

struct ServerConnection {
    transport: Transport,
    /// The subscribed topics, each with the last seq sent.
    topics: HashMap<TopicName, Seq>,
    request: u32,
    polling: bool,
    severed: bool,
    ended: bool,
    uplink_free_at: Millis,
    downlink_free_at: Millis,
}

struct Network {
    session: Session,
    now: Millis,
    seed: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    tasks: HashMap<u64, Task>,
    connections: HashMap<u32, ServerConnection>,
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
    outcomes: HashMap<CommandId, CommandProgress>,
    joined: bool,
    seen: Option<Cursor>,
    status: Option<TopicStatus>,
    opens: Vec<Millis>,
}

fn topic() -> TopicName {
    "chat/lobby".parse().unwrap()
}

impl Network {
    fn new(seed: u64) -> Self {
        let mut network = Self {
            session: Session::new("page".to_owned()),
            now: 0,
            seed: seed | 1,
            order: 0,
            queue: BinaryHeap::new(),
            tasks: HashMap::new(),
            connections: HashMap::new(),
            up: true,
            blocked: None,
            buffered: false,
            epoch: 1,
            log: vec![None; 3],
            answers: HashMap::new(),
            clock: START,
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
        network.run_step(Step::Join);
        network
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    fn schedule(&mut self, at: Millis, task: Task) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order)));
        self.tasks.insert(self.order, task);
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
            "a timer that fires forever"
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
            } => self.request(connection, topics, immediate),
            Effect::Send { connection, frame } => self.send_to_server(connection, frame),
            Effect::Close { connection } => drop(self.connections.remove(&connection)),
            Effect::Notify { update, .. } => self.notified(update),
            Effect::Identified(_) | Effect::NameRejected(_) => (),
        }
    }

    fn notified(&mut self, update: TopicUpdate) {
        match update {
            TopicUpdate::State { cursor, .. } => self.seen = Some(cursor),
            TopicUpdate::Event { seq, .. } => {
                let seen = self.seen.as_mut().expect("an event before a state");
                assert_eq!(seq, seen.seq + 1, "a gap or a duplicate");
                seen.seq = seq;
            }
            TopicUpdate::Status(status) => self.status = Some(status),
            TopicUpdate::Command(_, CommandProgress::Sent | CommandProgress::RateLimited { .. })
            | TopicUpdate::Presence(_) => {}
            TopicUpdate::Command(id, outcome) => {
                assert!(self.outcomes.insert(id, outcome).is_none(), "two outcomes");
            }
        }
    }

    // The network.

    fn open(&mut self, connection: u32, transport: Transport, topics: Topics) {
        self.opens.push(self.now);
        let remote = ServerConnection {
            transport,
            topics: HashMap::new(),
            request: 0,
            polling: false,
            severed: false,
            ended: false,
            uplink_free_at: self.now,
            downlink_free_at: self.now,
        };
        self.connections.insert(connection, remote);
        if transport != Transport::WebSocket {
            return self.request(connection, topics, true);
        }
        match self.blocked {
            _ if !self.up => self.end(connection, code::ABNORMAL),
            Some(true) => self.connections.get_mut(&connection).unwrap().severed = true,
            Some(false) => self.end(connection, code::ABNORMAL),
            None => {
                let encoding = Encoding::Postcard;
                self.send_to_client(connection, Input::Opened { connection, encoding });
            }
        }
    }

    fn request(&mut self, connection: u32, topics: Topics, immediate: bool) {
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        remote.request += 1;
        (remote.polling, remote.topics) = (false, HashMap::new());
        let (request, at) = (remote.request, self.now + 20);
        let task = Task::Requested {
            connection,
            request,
            topics,
            immediate,
        };
        self.schedule(at, task);
    }

    fn send_to_server(&mut self, connection: u32, frame: ClientFrame) {
        let delay = 5 + self.random() % 100;
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        if remote.transport == Transport::WebSocket {
            remote.uplink_free_at = remote.uplink_free_at.max(self.now + delay);
            let at = remote.uplink_free_at;
            self.schedule(at, Task::ToServer { connection, frame });
        } else {
            self.schedule(self.now + delay, Task::Posted { connection, frame });
        }
    }

    fn send_to_client(&mut self, connection: u32, input: Input) {
        let delay = 5 + self.random() % 100;
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        if remote.severed || remote.ended || (self.buffered && remote.transport == Transport::Sse) {
            return;
        }
        remote.downlink_free_at = remote.downlink_free_at.max(self.now + delay);
        let (at, request) = (remote.downlink_free_at, remote.request);
        self.schedule(
            at,
            Task::ToClient {
                connection,
                request,
                input,
            },
        );
    }

    fn server_sends(&mut self, connection: u32, frame: ServerFrame) {
        self.send_to_client(connection, Input::Frame { connection, frame });
    }

    fn end(&mut self, connection: u32, code: u16) {
        self.send_to_client(connection, Input::Closed { connection, code });
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
            keepalive_ms: 10_000,
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
                let (reason, state) = (ResetReason::New, EncodedValue(b"0".to_vec()));
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

    /// Sends all events that the connection has not received.
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

    fn on_request(&mut self, connection: u32, request: u32, topics: Topics, immediate: bool) {
        let Some(remote) = self
            .connections
            .get_mut(&connection)
            .filter(|remote| remote.request == request)
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
            return self.schedule(self.now + 15_000, Task::Keepalive { connection, request });
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
            self.send_to_client(connection, Input::PollAnswered { connection, frames });
        } else {
            let remote = self.connections.get_mut(&connection).unwrap();
            remote.polling = true;
            for (topic, cursor) in topics {
                remote.topics.insert(topic, cursor.unwrap().seq);
            }
            self.schedule(self.now + 20_000, Task::PollTimeout { connection, request });
        }
    }

    fn end_poll(&mut self, connection: u32, request: u32) {
        let Some(remote) = self.connections.get_mut(&connection) else {
            return;
        };
        if remote.request == request && std::mem::take(&mut remote.polling) {
            self.send_to_client(connection, Input::PollAnswered { connection, frames: 0 });
        }
    }

    fn server_time(&self) -> u64 {
        self.clock.saturating_add_unsigned(self.now).unsigned_abs()
    }

    /// Answers a command as the server's topics do.
    fn decide(&mut self, id: CommandId) -> ServerFrame {
        let known = self.answers.get(&id).cloned();
        let duplicate = known.is_some();
        let answer = known.unwrap_or_else(|| self.answer(&id));
        ServerFrame::Reply { id, answer, duplicate }
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
                self.send_to_client(connection, Input::PollAnswered { connection, frames: 1 });
            }
        }
    }

    fn run_task(&mut self, task: Task) {
        match task {
            Task::ToServer { connection, frame } => self.dispatch(connection, frame),
            Task::Posted { connection, frame } => {
                let ClientFrame::Command { id, .. } = frame else { return };
                let delivered = !self.random().is_multiple_of(10);
                if self.up && delivered {
                    let frame = self.decide(id);
                    let at = self.now + 30;
                    let input = Input::Frame { connection, frame };
                    self.schedule(
                        at,
                        Task::ToClient {
                            connection,
                            request: u32::MAX,
                            input,
                        },
                    );
                } else {
                    if delivered {
                        self.decide(id.clone());
                    }
                    self.input(Input::SendFailed {
                        connection,
                        id,
                        status: None,
                    });
                }
            }
            Task::Requested {
                connection,
                request,
                topics,
                immediate,
            } => self.on_request(connection, request, topics, immediate),
            Task::PollTimeout { connection, request } => self.end_poll(connection, request),
            Task::Keepalive { connection, request } => {
                if self
                    .connections
                    .get(&connection)
                    .is_some_and(|remote| remote.request == request)
                {
                    self.server_sends(connection, ServerFrame::Pong { nonce: 0 });
                    self.schedule(self.now + 15_000, Task::Keepalive { connection, request });
                }
            }
            Task::ToClient {
                connection,
                request,
                input,
            } => {
                let current = self
                    .connections
                    .get(&connection)
                    .is_some_and(|remote| !remote.severed && (request == u32::MAX || remote.request == request));
                if current {
                    self.input(input);
                }
            }
            Task::Act(step) => self.run_step(step),
        }
    }

    // The faults.

    fn run_step(&mut self, step: Step) {
        let connections: Vec<u32> = self.connections.keys().copied().collect();
        match step {
            Step::Send(count) => (0..count).for_each(|_| self.send_command()),
            Step::Cancel => {
                if let Some(id) = self.sent.last().cloned() {
                    self.input(Input::Cancel { id });
                }
            }
            Step::OtherVisitorEvent(count) => (0..count).for_each(|_| self.append(None)),
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
            Step::CloseAll => self.end_all(),
            Step::Blackhole => self.connections.values_mut().for_each(|remote| remote.severed = true),
            Step::Drain => connections.into_iter().for_each(|connection| {
                let (reason, retry_after_ms) = (CloseReason::Draining, 3_000);
                self.server_sends(connection, ServerFrame::Closing { reason, retry_after_ms });
                self.end(connection, code::RESTART);
            }),
            Step::Repeat => connections
                .into_iter()
                .for_each(|connection| self.server_sends(connection, event(1))),
            Step::DropEvent => self.omit = true,
            Step::NewEpoch => self.replace_log(),
            Step::Clock(clock) => self.clock = START + clock,
            Step::ForgetAnswers => {
                let times = self.answers.drain().filter_map(|(id, _)| id.time());
                self.forgotten = times.max().unwrap_or_default().max(self.forgotten);
            }
            Step::RateLimit(millis) => self.busy_until = self.now + Millis::from(millis),
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
        // As a browser whose clock is at the epoch.
        let id = CommandId::from_time(0, self.sent.len() as u128);
        self.sent.push(id.clone());
        let (topic, body) = (topic(), EncodedCommand::encode(&1).unwrap());
        self.input(Input::Send { topic, id, body });
        assert!(self.session.status().queued <= MAX_QUEUED);
    }

    /// Restarts the server with a new log, without its previous state.
    fn replace_log(&mut self) {
        self.run_step(Step::CloseAll);
        self.log.clear();
        self.epoch += 1;
        self.answers.clear();
        self.forgotten = 0;
    }

    fn run(&mut self, until: Millis) {
        let mut steps = 0;
        while self.now < until {
            steps += 1;
            assert!(steps < 200_000, "a loop without progress");
            let task = self.queue.peek().map_or(until, |Reverse((at, _))| *at);
            let timer = self.session.wake_at().unwrap_or(until);
            // Timers fire late, and in no fixed order with messages that arrive at the same time.
            let timer = timer + self.random() % 20;
            self.now = task.min(timer).min(until).max(self.now);
            if task <= timer
                && let Some(Reverse((_, number))) = self.queue.pop()
            {
                let task = self.tasks.remove(&number).unwrap();
                self.run_task(task);
            } else {
                self.input(Input::Timer);
            }
        }
    }

    fn recover(&mut self) {
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
            self.run_step(step);
        }
        let (now, long) = (self.now, 15 * 60_000);
        self.run(now + long);
        // An omitted event is detected by the next one.
        self.run_step(Step::OtherVisitorEvent(1));
        self.run(now + 2 * long);
    }
}

fn event(seq: Seq) -> ServerFrame {
    let event = EncodedValue(b"0".to_vec());
    ServerFrame::Event {
        topic: topic(),
        seq,
        checksum: None,
        event,
    }
}

fn is_backing_off(opens: &[Millis]) -> bool {
    opens.windows(40).all(|window| window[39] - window[0] > 5_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_event_is_lost_or_duplicated(
        seed: u64,
        steps in prop::collection::vec((0u64..9_000, step()), 0..40),
    ) {
        let mut network = Network::new(seed);
        let mut at = 0;
        for (pause, step) in steps {
            at += pause;
            network.schedule(at, Task::Act(step));
        }
        network.run(at + 1);
        network.recover();

        prop_assert_eq!(network.session.status().phase, Phase::Live);
        prop_assert_eq!(network.status, Some(TopicStatus::Live));
        prop_assert_eq!(network.seen, Some(network.cursor()), "all events have arrived");
        for id in &network.sent {
            let effects = network.log.iter().flatten().filter(|by| *by == id).count();
            match network.outcomes.get(id) {
                Some(CommandProgress::Rejected(Rejection::IdTooOld { no_effect: false, .. })) => prop_assert!(effects <= 1),
                Some(CommandProgress::Rejected(_)) => prop_assert_eq!(effects, 0),
                Some(_) => prop_assert!(effects <= 1),
                None => prop_assert!(false, "a command without an outcome"),
            }
        }
        prop_assert!(is_backing_off(&network.opens), "too many attempts");
    }

    /// Unless the log is replaced or the command cancelled, each accepted command has its effect exactly once.
    #[test]
    fn every_command_has_its_effect_once(
        seed: u64,
        steps in prop::collection::vec((0u64..5_000, step()), 0..30),
    ) {
        let mut network = Network::new(seed);
        let mut at = 0;
        for (pause, step) in steps {
            at += pause;
            if !matches!(step, Step::NewEpoch | Step::Cancel) {
                network.schedule(at, Task::Act(step));
            }
        }
        network.run(at + 1);
        network.recover();
        for id in &network.sent {
            let effects = network.log.iter().flatten().filter(|by| *by == id).count();
            match network.outcomes.get(id) {
                // Sent twice without an answer, and then forgotten: the outcome is unknown.
                Some(CommandProgress::Rejected(Rejection::IdTooOld { no_effect: false, .. })) => prop_assert!(effects <= 1),
                outcome => prop_assert_eq!(effects, usize::from(outcome == Some(&CommandProgress::Done))),
            }
        }
    }
}

#[test]
fn blocked_websockets_and_buffered_streams_fall_back_to_polling_and_recover() {
    let mut network = Network::new(7);
    network.run_step(Step::Block { silent: true });
    network.run_step(Step::Buffer(true));
    network.run(20_000);
    assert_eq!(network.session.status().transport, Some(Transport::Poll));
    assert_eq!(network.status, Some(TopicStatus::Live));
    network.run_step(Step::Send(3));
    network.run_step(Step::OtherVisitorEvent(2));
    network.run(30_000);
    assert_eq!(network.outcomes.len(), 3);
    assert_eq!(network.seen, Some(network.cursor()));
    network.run_step(Step::Unblock);
    network.run(200_000);
    assert_eq!(network.session.status().transport, Some(Transport::WebSocket));
    assert_eq!(network.status, Some(TopicStatus::Live));
}

#[test]
fn a_quiet_stream_stays_open() {
    let mut network = Network::new(3);
    network.run_step(Step::Block { silent: false });
    network.run(10_000);
    assert_eq!(network.session.status().transport, Some(Transport::Sse));
    let opens = network.opens.iter().filter(|at| **at > 10_000).count();
    network.run(50_000);
    assert_eq!(network.opens.iter().filter(|at| **at > 10_000).count(), opens);
}
