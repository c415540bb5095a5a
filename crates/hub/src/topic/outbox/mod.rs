//! The node's outbox: delivers the commands that follow from topics' events to other topics, in the name of the server.
//!
//! The log keeps each forward in the commit of its event. The forwards of one topic for one other topic form a lane: they are
//! delivered in order, one at a time, and a lane that waits for its target holds up no other. The commit of its effect removes a
//! forward from the log; one without an effect of its own (refused for good, answered before, or a mere start) is removed in a
//! batch with others. After a restart the node reads what is left and delivers it again, under the same ids.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stats::add;
use crate::hub::Hub;
use crate::limits;
use crate::lock;
use crate::log::{ForwardKey, LogError, Undelivered};
use crate::quota::LogThrottle;
use duplex_protocol::codec::Blob;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub(crate) struct Outbox {
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
        lock::lock(&self.state)
    }

    /// Whether commands of `from` may make more forwards. Past the bound of all, each source may still have a few: a target that
    /// takes nothing holds up its own sources, and no others.
    pub(crate) fn has_room(&self, from: &TopicName) -> bool {
        static FULL: LogThrottle = LogThrottle::new(limits::REFUSALS_LOGGED);

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
    pub(crate) async fn drain(&self) {
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
        static REFUSED: LogThrottle = LogThrottle::new(limits::REFUSALS_LOGGED);

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
mod tests;
