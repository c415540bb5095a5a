//! The node's outbox: delivers the commands that follow from topics' events to other topics, in the name of the server.
//!
//! The log keeps each forward in the commit of its event. The forwards of one topic for one other topic form a lane: they are
//! delivered in order, one at a time, and a lane that waits for its target holds up no other. The commit of its effect removes a
//! forward from the log; one without an effect of its own (refused for good, answered before, or a mere start) is removed in a
//! batch with others. After a restart the node reads what is left and delivers it again, under the same ids.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stats::add;
use crate::hub::Hub;
use crate::limits;
use crate::log::{ForwardKey, LogError, Undelivered};
use crate::quota::seldom::Seldom;
use duplex_protocol::codec::Blob;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    /// A lane ended or began to wait.
    settled: Notify,
    stop: CancellationToken,
}

#[derive(Default)]
struct State {
    reading: Reading,
    lanes: HashMap<LaneName, Lane>,
    /// Undelivered forwards of each source.
    held: HashMap<TopicName, usize>,
    /// Of all of them.
    bytes: usize,
    /// To be removed from the log.
    done: Vec<ForwardKey>,
    /// A task will remove them.
    removing: bool,
}

/// What the log kept when the node started. No lane delivers before it is read: what is older goes first.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    NotBegun,
    Begun,
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LaneName {
    from: TopicName,
    to: TopicName,
}

#[derive(Default)]
struct Lane {
    forwards: BTreeMap<(Seq, u32), Waiting>,
    running: bool,
    /// Its target refused the first of them for now.
    paused: bool,
}

#[derive(Clone)]
struct Waiting {
    command: CommandId,
    payload: Bytes,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.payload.len() + limits::EVENT_OVERHEAD
    }
}

impl State {
    /// The lane's name, if it is to be started.
    fn insert(&mut self, forward: Undelivered) -> Option<LaneName> {
        let Undelivered {
            key,
            to,
            command,
            payload,
            ..
        } = forward;
        let name = LaneName {
            from: key.from.clone(),
            to,
        };
        let payload = payload.into();
        let waiting = Waiting { command, payload };
        let bytes = waiting.bytes();
        let lane = self.lanes.entry(name.clone()).or_default();
        if lane.forwards.insert((key.seq, key.index), waiting).is_none() {
            *self.held.entry(key.from).or_default() += 1;
            self.bytes += bytes;
        }
        let starts = self.reading == Reading::Ended && !lane.running;
        lane.running |= starts;
        starts.then_some(name)
    }

    /// False if it was withdrawn.
    fn remove(&mut self, name: &LaneName, place: (Seq, u32)) -> bool {
        let lane = self.lanes.get_mut(name);
        let Some(waiting) = lane.and_then(|lane| lane.forwards.remove(&place)) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(waiting.bytes());
        if let Some(held) = self.held.get_mut(&name.from) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&name.from);
            }
        }
        true
    }

    /// Those that were filled before the log was read.
    fn end_reading(&mut self) -> Vec<LaneName> {
        self.reading = Reading::Ended;
        let idle = self.lanes.iter_mut().filter(|(_, lane)| !lane.running);
        idle.map(|(name, lane)| {
            lane.running = true;
            name.clone()
        })
        .collect()
    }

    fn is_busy(&self) -> bool {
        self.reading == Reading::Ended && self.lanes.values().any(|lane| !lane.paused)
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether commands of `from` may make more forwards. Past the bound of all, each source may still have a few: a target that
    /// takes nothing holds up its own sources, and no others.
    pub fn has_room(&self, from: &TopicName) -> bool {
        static FULL: Seldom = Seldom::new(limits::REFUSALS_LOGGED);

        let state = self.lock();
        let held = state.held.get(from).copied().unwrap_or_default();
        let most = match state.bytes < limits::FORWARD_BYTES {
            true => limits::FORWARDS_OF_TOPIC,
            false => limits::FORWARDS_OF_TOPIC_AT_LEAST,
        };
        drop(state);
        if held < most {
            return true;
        }
        if let Some(unlogged) = FULL.due() {
            tracing::warn!(%from, held, unlogged, "too many forwards wait for their targets: commands are refused for now");
        }
        false
    }

    /// Removes the forwards of events whose text goes; the log did so in its commit.
    fn withdraw(&self, from: &TopicName, goes: impl Fn(Seq) -> bool) -> u64 {
        let mut state = self.lock();
        let of_topic = state.lanes.iter().filter(|(name, _)| name.from == *from);
        let gone: Vec<_> = of_topic
            .flat_map(|(name, lane)| {
                let places = lane.forwards.keys().filter(|(seq, _)| goes(*seq));
                places.map(|place| (name.clone(), *place)).collect::<Vec<_>>()
            })
            .collect();
        gone.iter().filter(|(name, place)| state.remove(name, *place)).count() as u64
    }

    /// The lane's oldest forward; none if its task is to end.
    fn next(&self, name: &LaneName) -> Option<((Seq, u32), Waiting)> {
        let mut state = self.lock();
        let lane = state.lanes.get_mut(name)?;
        lane.paused = false;
        let next = lane.forwards.first_key_value();
        let next = next.map(|(place, waiting)| (*place, waiting.clone()));
        if next.is_none() {
            state.lanes.remove(name);
            drop(state);
            self.settled.notify_waiters();
        }
        next
    }

    fn pause(&self, name: &LaneName) {
        if let Some(lane) = self.lock().lanes.get_mut(name) {
            lane.paused = true;
        }
        self.settled.notify_waiters();
    }

    /// Waits a while until nothing is on its way but what its target refuses for now.
    pub async fn drain(&self) {
        let settled = async {
            loop {
                let changed = self.settled.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if !self.lock().is_busy() {
                    return;
                }
                changed.await;
            }
        };
        if timeout(limits::FORWARD_DRAIN, settled).await.is_err() {
            tracing::warn!("forwards were still on their way; they are delivered after the next start");
        }
    }
}

impl Hub {
    /// Delivers what the log kept of the forwards of an earlier process. Called at the node's start; the first forward does so too.
    pub fn deliver_forwards(&self) {
        let outbox = self.outbox();
        {
            let mut state = outbox.lock();
            if state.reading != Reading::NotBegun {
                return;
            }
            state.reading = Reading::Begun;
        }
        let (hub, stop) = (self.own(), outbox.stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move { hub.read_outbox().await }));
    }

    async fn read_outbox(&self) {
        loop {
            match self.log().forwards(None).await {
                Ok(kept) => {
                    if !kept.is_empty() {
                        tracing::info!(count = kept.len(), "forwards of an earlier run are delivered");
                    }
                    self.forward(kept);
                    let lanes = self.outbox().lock().end_reading();
                    return self.start_lanes(lanes);
                }
                Err(error) => tracing::warn!("forwards wait, for the log cannot be read: {error}"),
            }
            sleep(limits::LOG_RETRY).await;
        }
    }

    /// Those that are kept and not delivered.
    pub fn forwards_waiting(&self) -> usize {
        self.outbox().lock().held.values().sum()
    }

    /// Takes up what the log keeps of a topic's forwards, after an append whose outcome was not known.
    pub(crate) async fn take_up_forwards(&self, from: &TopicName) -> Result<(), LogError> {
        let kept = self.log_of_topic(from).forwards(Some(from)).await?;
        if !kept.is_empty() {
            self.forward(kept);
        }
        Ok(())
    }

    pub(crate) fn withdraw_forwards(&self, from: &TopicName, goes: impl Fn(Seq) -> bool) {
        let withdrawn = self.outbox().withdraw(from, goes);
        if withdrawn > 0 {
            add(&self.tally().forwards_lost, withdrawn);
            tracing::info!(%from, withdrawn, "forwards of erased events were withdrawn");
        }
    }

    /// Forwards that the log keeps are to be delivered.
    pub(crate) fn forward(&self, forwards: Vec<Undelivered>) {
        self.deliver_forwards();
        let mut state = self.outbox().lock();
        let lanes = forwards
            .into_iter()
            .filter_map(|forward| state.insert(forward))
            .collect();
        drop(state);
        self.start_lanes(lanes);
    }

    fn start_lanes(&self, lanes: Vec<LaneName>) {
        for lane in lanes {
            let (hub, stop) = (self.own(), self.outbox().stop.clone());
            // What is cut off is in the log still.
            tokio::spawn(stop.run_until_cancelled_owned(async move { hub.run_lane(&lane).await }));
        }
    }

    async fn run_lane(&self, name: &LaneName) {
        let outbox = self.outbox();
        let mut pause = limits::FORWARD_PAUSE;
        while let Some((place, waiting)) = outbox.next(name) {
            let key = ForwardKey {
                from: name.from.clone(),
                seq: place.0,
                index: place.1,
            };
            let (answer, again) = self.deliver(name, &key, &waiting).await;
            if let Answer::Rejected(why) = &answer
                && why.may_retry()
            {
                tracing::debug!(from = %name.from, to = %name.to, "a forward waits: {why}");
                outbox.pause(name);
                sleep(pause).await;
                pause = (pause * 2).min(limits::FORWARD_PAUSE_MOST);
                continue;
            }
            pause = limits::FORWARD_PAUSE;
            let one_log = Arc::ptr_eq(self.log_of_topic(&name.from), self.log_of_topic(&name.to));
            let removed = matches!(answer, Answer::Accepted { .. }) && !again && one_log;
            outbox.lock().remove(name, place);
            self.count(name, &answer);
            if !removed {
                self.remove_later(key);
            }
        }
    }

    async fn deliver(&self, name: &LaneName, key: &ForwardKey, waiting: &Waiting) -> (Answer, bool) {
        let handle = match self.open_even_closing(&name.to).await {
            Ok(handle) => handle.for_server(),
            Err(denied) => return (Answer::Rejected(Rejection::Denied(denied)), false),
        };
        // It commands nothing: the topic is started, and that is all.
        if *waiting.payload == *b"null" {
            let seq = handle.head().seq;
            return (Answer::Accepted { seq }, true);
        }
        let command = Blob(waiting.payload.to_vec());
        handle
            .deliver(Some(key.clone()), waiting.command.clone(), command)
            .await
    }

    fn count(&self, name: &LaneName, answer: &Answer) {
        static REFUSED: Seldom = Seldom::new(limits::REFUSALS_LOGGED);

        let Answer::Rejected(why) = answer else {
            return add(&self.tally().forwards, 1);
        };
        add(&self.tally().forwards_lost, 1);
        if let Some(unlogged) = REFUSED.due() {
            tracing::warn!(from = %name.from, to = %name.to, unlogged, "a forward was rejected: {why}");
        }
    }

    /// In a while, with others.
    fn remove_later(&self, key: ForwardKey) {
        let mut state = self.outbox().lock();
        state.done.push(key);
        if !std::mem::replace(&mut state.removing, true) {
            let (hub, stop) = (self.own(), self.outbox().stop.clone());
            tokio::spawn(stop.run_until_cancelled_owned(async move {
                let mut pause = limits::FORWARD_PAUSE;
                loop {
                    sleep(pause).await;
                    if hub.remove_done().await {
                        return;
                    }
                    pause = (pause * 2).min(limits::FORWARD_PAUSE_MOST);
                }
            }));
        }
    }

    /// Says whether all is done.
    async fn remove_done(&self) -> bool {
        let done = std::mem::take(&mut self.outbox().lock().done);
        let of_log = |key: &ForwardKey| Arc::ptr_eq(self.log_of_topic(&key.from), self.log());
        let (kept, fleeting): (Vec<_>, Vec<_>) = done.into_iter().partition(of_log);
        for keys in [kept, fleeting] {
            let Some(first) = keys.first() else { continue };
            let log = self.log_of_topic(&first.from);
            if let Err(error) = log.delivered(keys.clone()).await {
                // Delivered twice, it is known by its id.
                tracing::debug!("delivered forwards stay in the log for a while: {error}");
                self.outbox().lock().done.extend(keys);
            }
        }
        let mut state = self.outbox().lock();
        state.removing = !state.done.is_empty();
        !state.removing
    }

    /// Nothing is delivered any more.
    pub(crate) async fn stop_forwards(&self) {
        self.outbox().stop.cancel();
        self.remove_done().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::time::Duration;

    use serde::{Deserialize, Serialize};
    use tokio::task::yield_now;
    use tokio::time::advance;

    use super::*;
    use crate::command::TopicCommand;
    use crate::decider::{Access, Context, Decider, Forward, NoCommand, Principal, Redaction, ServerCommand};
    use crate::log::Log;
    use crate::log::memory::Memory;
    use crate::topic::dyn_topic::kind;
    use duplex_protocol::codec::Encoding;
    use duplex_protocol::cursor::Epoch;
    use duplex_protocol::session::Denied;
    use duplex_protocol::topic::Topic;

    struct Teller;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Told {
        text: String,
        to: Vec<String>,
        erases: Option<Seq>,
    }

    impl Topic for Teller {
        const KIND: &'static str = "teller";
        type Command = Told;
        type Event = Told;
        type State = u64;

        fn apply(count: &mut u64, _: Seq, _: &Told) {
            *count += 1;
        }
    }

    impl Decider for Teller {
        type ServerCommand = NoCommand;

        fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denied> {
            Ok(Access::Write)
        }

        fn decide(&self, _: Context<'_>, _: &u64, told: Told) -> Result<Vec<Told>, Rejection> {
            Ok(vec![told])
        }

        fn forward(&self, _: &TopicName, _: &u64, _: Seq, told: &Told) -> Vec<Forward> {
            let forward = |to: &String| {
                let topic: TopicName = to.parse().unwrap();
                match &*told.text {
                    "start" => Forward::start::<Hearer>(topic.rest()).unwrap(),
                    text => TopicCommand::new(topic, &text).unwrap().into(),
                }
            };
            told.to.iter().map(forward).collect()
        }

        fn redacts(&self, _: &u64, told: &Told) -> Redaction {
            told.erases
                .map_or(Redaction::Nothing, |seq| Redaction::Events(vec![seq]))
        }

        fn redacted(&self, told: Told) -> Told {
            let text = String::new();
            Told { text, ..told }
        }
    }

    /// Refuses for ever what says "no", and everything for now in its topic `shut` while it is.
    struct Hearer(Arc<AtomicBool>);

    impl Topic for Hearer {
        const KIND: &'static str = "hearer";
        type Command = NoCommand;
        type Event = String;
        type State = Vec<String>;

        fn apply(heard: &mut Vec<String>, _: Seq, text: &String) {
            heard.push(text.clone());
        }
    }

    impl Decider for Hearer {
        type ServerCommand = String;

        fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denied> {
            Ok(Access::Write)
        }

        fn decide(&self, _: Context<'_>, _: &Vec<String>, none: NoCommand) -> Result<Vec<String>, Rejection> {
            match none {}
        }
    }

    impl ServerCommand<Hearer> for String {
        fn decide(self, hearer: &Hearer, at: Context<'_>, _: &Vec<String>) -> Result<Vec<String>, Rejection> {
            match &*self {
                _ if at.topic.rest() == "shut" && hearer.0.load(SeqCst) => Err(Rejection::Unavailable),
                "no" => Err(Rejection::refused("no")),
                _ => Ok(vec![self]),
            }
        }
    }

    const SHUT: &str = "hearer/shut";
    const OPEN: &str = "hearer/open";

    /// One process, whose topic `shut` is shut or not.
    struct Process {
        hub: Hub,
        shut: Arc<AtomicBool>,
        log: Arc<Memory>,
    }

    impl Process {
        fn start(log: &Arc<Memory>, shut: bool) -> Self {
            let (log, shut) = (Arc::clone(log), Arc::new(AtomicBool::new(shut)));
            let kinds = vec![kind(Teller), kind(Hearer(Arc::clone(&shut)))];
            let hub = Hub::new(Arc::<Memory>::clone(&log), kinds);
            Self { hub, shut, log }
        }

        async fn say(&self, told: Told) -> Answer {
            let id = CommandId::from_random(uuid::Uuid::new_v4().as_u128());
            self.hub.tell::<Teller>("one", id, &told).await
        }

        async fn tell(&self, text: &str, to: &[&str]) -> Answer {
            let to = to.iter().map(ToString::to_string).collect();
            let text = text.to_owned();
            self.say(Told { text, to, erases: None }).await
        }

        async fn heard(&self, topic: &str) -> Vec<String> {
            let handle = self.hub.open(&topic.parse().unwrap()).await.unwrap();
            let (_, state) = handle.state(Encoding::Json).await.unwrap();
            state.decode(Encoding::Json).unwrap()
        }

        async fn kept(&self) -> usize {
            self.log.forwards(None).await.unwrap().len()
        }

        async fn until_kept(&self, count: usize) {
            while self.kept().await != count {
                yield_now().await;
                advance(Duration::from_millis(50)).await;
            }
        }
    }

    fn log() -> Arc<Memory> {
        Arc::new(Memory::new(Epoch::new(7)))
    }

    fn accepted(answer: &Answer) -> bool {
        matches!(answer, Answer::Accepted { .. })
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_kept_with_an_event_is_delivered_by_the_next_process() {
        let log = log();
        let before = Process::start(&log, true);
        assert!(accepted(&before.tell("a", &[SHUT, SHUT]).await));
        assert!(accepted(&before.tell("b", &[SHUT]).await));
        assert_eq!(before.kept().await, 3);
        let after = Process::start(&log, false);
        after.hub.deliver_forwards();
        after.until_kept(0).await;
        assert_eq!(after.heard(SHUT).await, ["a", "a", "b"]);
        assert!(!after.hub.is_awake(&"teller/one".parse().unwrap()), "nobody visited it");
        assert_eq!(after.hub.stats().forwards, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_shut_gets_all_in_order_later_and_holds_up_no_other() {
        let process = Process::start(&log(), true);
        let texts = ["1", "2", "3", "4", "5"];
        for text in texts {
            assert!(accepted(&process.tell(text, &[SHUT, OPEN]).await));
        }
        process.until_kept(texts.len()).await;
        assert_eq!(process.heard(OPEN).await, texts);
        assert!(process.heard(SHUT).await.is_empty());
        assert_eq!(process.hub.forwards_waiting(), texts.len());
        process.shut.store(false, SeqCst);
        process.until_kept(0).await;
        assert_eq!(process.heard(SHUT).await, texts);
        assert_eq!(process.hub.stats().forwards_lost, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_forward_that_is_refused_for_good_is_counted_and_gone() {
        let process = Process::start(&log(), false);
        for text in ["a", "no", "b"] {
            assert!(accepted(&process.tell(text, &[OPEN]).await));
        }
        assert!(accepted(&process.tell("c", &["unknown/x", OPEN]).await));
        process.until_kept(0).await;
        assert_eq!(process.heard(OPEN).await, ["a", "b", "c"]);
        let stats = process.hub.stats();
        assert_eq!((stats.forwards, stats.forwards_lost), (3, 2));
        assert_eq!(process.hub.forwards_waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_whose_forwards_wait_in_great_number_is_refused_until_they_go() {
        let process = Process::start(&log(), true);
        let many = vec![SHUT; 64];
        for _ in 0..limits::FORWARDS_OF_TOPIC / many.len() {
            assert!(accepted(&process.tell("x", &many).await));
        }
        assert_eq!(
            process.tell("x", &[OPEN]).await,
            Answer::Rejected(Rejection::Unavailable)
        );
        assert_eq!(process.kept().await, limits::FORWARDS_OF_TOPIC, "none is lost");
        process.shut.store(false, SeqCst);
        process.until_kept(0).await;
        assert!(accepted(&process.tell("x", &[OPEN]).await));
        assert_eq!(process.heard(SHUT).await.len(), limits::FORWARDS_OF_TOPIC);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_delivered_of_an_erased_event_goes_with_it() {
        let process = Process::start(&log(), true);
        process.tell("secret", &[SHUT]).await;
        process.tell("fine", &[SHUT]).await;
        let erasing = Told {
            text: "erased".to_owned(),
            to: vec![SHUT.to_owned()],
            erases: Some(1),
        };
        assert!(accepted(&process.say(erasing).await));
        assert_eq!(process.kept().await, 2);
        process.shut.store(false, SeqCst);
        process.until_kept(0).await;
        assert_eq!(process.heard(SHUT).await, ["fine", "erased"]);
        assert_eq!(process.hub.stats().forwards_lost, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_forward_without_a_command_starts_its_topic() {
        let process = Process::start(&log(), false);
        assert!(accepted(&process.tell("start", &[OPEN]).await));
        process.until_kept(0).await;
        assert!(process.hub.is_awake(&OPEN.parse().unwrap()));
        assert!(process.heard(OPEN).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_ends_delivers_what_it_can_and_keeps_the_rest() {
        let log = log();
        let process = Process::start(&log, true);
        process.tell("a", &[OPEN, SHUT]).await;
        process.hub.close().await;
        assert_eq!(process.kept().await, 1);
        let next = Process::start(&log, false);
        assert_eq!(next.heard(OPEN).await, ["a"]);
        next.hub.deliver_forwards();
        next.until_kept(0).await;
        assert_eq!(next.heard(SHUT).await, ["a"]);
    }

    /// A process that was killed after the effect, and whose log still had the forward.
    #[tokio::test(start_paused = true)]
    async fn a_forward_that_is_delivered_again_has_its_effect_once() {
        let log = log();
        let first = Process::start(&log, true);
        first.tell("a", &[SHUT]).await;
        let kept = log.forwards(None).await.unwrap();
        first.shut.store(false, SeqCst);
        first.until_kept(0).await;
        first.hub.forward(kept);
        while first.hub.forwards_waiting() > 0 {
            yield_now().await;
        }
        assert_eq!(first.heard(SHUT).await, ["a"]);
        assert_eq!(first.hub.stats().again, 1);
    }
}
