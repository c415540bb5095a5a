//! Invariants that must hold after a run has settled.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use duplex_hub::log::Log as _;
use duplex_leptos::status::{Phase, TopicStatus};
use duplex_protocol::{
    cursor::{Checksum, Cursor, Seq},
    session::ResetReason,
    topic::{Topic as _, TopicName},
};

use super::server::Balancer;
use super::tab::{Outcome, TabTrace, TopicTrace};
use super::world::Totals;
use crate::harness::kinds::{Note, Notes, NotesState};

/// The reference history: all events of each topic, read from the log. Index 0 is seq 1.
pub struct Logs(BTreeMap<TopicName, Vec<Note>>);

impl Logs {
    pub async fn read(servers: &Balancer, topics: &[TopicName]) -> Result<Self, String> {
        let node = servers.node().ok_or("no node is running")?;
        let mut logs = BTreeMap::new();
        for topic in topics {
            let read = node.disk.read(topic, 0, usize::MAX >> 1).await;
            let records = read.map_err(|error| error.to_string())?;
            let contiguous = records.iter().zip(1..).all(|(record, seq)| record.seq == seq);
            if !contiguous {
                return Err(format!("the log of {topic} has a gap"));
            }
            let events = records.iter().map(|record| serde_json::from_slice(&record.event));
            let events = events.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
            logs.insert(topic.clone(), events);
        }
        Ok(Self(logs))
    }

    /// The state after the events up to `seq`.
    fn fold(&self, topic: &TopicName, seq: Seq) -> NotesState {
        fold(&self.0[topic], seq)
    }
}

fn fold(events: &[Note], seq: Seq) -> NotesState {
    let mut state = NotesState::default();
    for (event, seq) in events.iter().take(seq as usize).zip(1..) {
        Notes::apply(&mut state, seq, event);
    }
    state
}

/// Each topic's events before the loss.
#[derive(Debug, Default)]
pub struct LostTails(BTreeMap<TopicName, LostTail>);

#[derive(Debug, Default)]
struct LostTail {
    events: Vec<Note>,
    checksums: Vec<Option<Checksum>>,
    /// The newest seq that remained.
    remaining: Seq,
}

impl LostTails {
    pub fn add(&mut self, topic: &TopicName, events: &[(Vec<u8>, Option<Checksum>)], count: u64) {
        let read = |(event, _): &(Vec<u8>, _)| serde_json::from_slice(event).unwrap();
        let tail = LostTail {
            events: events.iter().map(read).collect(),
            checksums: events.iter().map(|(_, checksum)| *checksum).collect(),
            remaining: (events.len() as Seq).saturating_sub(count),
        };
        self.0.insert(topic.clone(), tail);
    }

    fn tail(&self, topic: &TopicName) -> Option<&LostTail> {
        self.0.get(topic)
    }

    fn contains(&self, topic: &TopicName, text: &str) -> bool {
        let lost = self.tail(topic).into_iter();
        let mut lost = lost.flat_map(|tail| tail.events.iter().skip(tail.remaining as usize));
        lost.any(|event| matches!(event, Note::Add(added) if added == text))
    }
}

impl LostTail {
    /// Whether a client with this cursor has seen lost events.
    fn was_seen_at(&self, cursor: Cursor) -> bool {
        let checksum = cursor.seq.checked_sub(1).and_then(|at| self.checksums.get(at as usize));
        cursor.seq > self.remaining && checksum == Some(&cursor.checksum)
    }
}

/// Describes the first condition that is not settled.
pub fn unsettled(traces: &[impl Deref<Target = TabTrace>], logs: &Logs) -> Option<String> {
    let people = traces.len() as u32;
    for (tab, trace) in traces.iter().enumerate() {
        if trace.session.phase != Phase::Live || trace.session.queued > 0 {
            return Some(format!("tab {tab} is {:?}", trace.session));
        }
        if let Some((id, topic, text)) = trace.sent.iter().find(|(id, ..)| !trace.outcomes.contains_key(id)) {
            return Some(format!("tab {tab}: no outcome of {text} ({}) to {topic}", id.as_str()));
        }
        for (topic, events) in &logs.0 {
            let seen = trace.topics.get(topic)?;
            let at = seen.cursor.map(|cursor| cursor.seq);
            if seen.status != Some(TopicStatus::Live) || at != Some(events.len() as Seq) {
                let head = events.len();
                return Some(format!("tab {tab}: {topic} is {:?} at {at:?} of {head}", seen.status));
            }
            let (persons, sessions) = (seen.presence.people_count, seen.presence.session_count);
            if (persons, sessions) != (people, people) {
                let counts = format!("{persons} people and {sessions} sessions instead of {people}");
                return Some(format!("tab {tab}: {topic} has {counts}"));
            }
        }
    }
    None
}

/// Checks all invariants. `burst_texts` are the accepted texts of bursts.
pub fn check(
    traces: &[impl Deref<Target = TabTrace>],
    logs: &Logs,
    lost: &LostTails,
    burst_texts: &[String],
    totals: &mut Totals,
) -> Result<(), String> {
    for (tab, trace) in traces.iter().enumerate() {
        for (topic, seen) in &trace.topics {
            let lost = lost.tail(topic);
            check_events(topic, seen, logs, lost)
                .and_then(|()| check_resets(seen, lost, totals))
                .map_err(|violation| format!("tab {tab}, {topic}: {violation}"))?;
            totals.resets += seen.states.len() as u64;
        }
        totals.trace_hash = totals.trace_hash.rotate_left(7) ^ trace.trace_hash;
    }
    check_effects(traces, logs, lost, burst_texts, totals)
}

/// Every event has its seq in the log, and every state follows from the events before it, in the log before its loss or in the
/// current one.
fn check_events(topic: &TopicName, seen: &TopicTrace, logs: &Logs, lost: Option<&LostTail>) -> Result<(), String> {
    for (seq, event) in &seen.events {
        let stored = logs.0[topic].get(*seq as usize - 1);
        let before_loss = lost.and_then(|lost| lost.events.get(*seq as usize - 1));
        if stored != Some(event) && before_loss != Some(event) {
            return Err(format!("{event:?} was received as {seq}, where the log has {stored:?}"));
        }
    }
    for (seq, state) in &seen.states {
        let before_loss = lost.is_some_and(|lost| *state == fold(&lost.events, *seq));
        if *state != logs.fold(topic, *seq) && !before_loss {
            return Err(format!("the state at {seq} does not follow from the log: {state:?}"));
        }
    }
    let end = logs.fold(topic, logs.0[topic].len() as Seq);
    if seen.state == end {
        Ok(())
    } else {
        Err(format!("the final state is {:?} instead of {end:?}", seen.state))
    }
}

/// A client is reset because of a loss only if it had seen lost events.
fn check_resets(seen: &TopicTrace, lost: Option<&LostTail>, totals: &mut Totals) -> Result<(), String> {
    for (reason, before) in &seen.resets {
        let count = match reason {
            ResetReason::Diverged => &mut totals.diverged,
            ResetReason::Ahead => &mut totals.ahead,
            _ => continue,
        };
        *count += 1;
        if !before.is_some_and(|before| lost.is_some_and(|lost| lost.was_seen_at(before))) {
            return Err(format!("was reset for {reason:?} from {before:?} without lost events"));
        }
    }
    Ok(())
}

fn check_effects(
    traces: &[impl Deref<Target = TabTrace>],
    logs: &Logs,
    lost: &LostTails,
    burst_texts: &[String],
    totals: &mut Totals,
) -> Result<(), String> {
    let mut effect_counts: HashMap<(&TopicName, &str), u64> = HashMap::new();
    for (topic, events) in &logs.0 {
        for event in events {
            if let Note::Add(text) = event {
                *effect_counts.entry((topic, text)).or_default() += 1;
            }
        }
    }
    for trace in traces {
        for (id, topic, text) in &trace.sent {
            let effects = effect_counts.remove(&(topic, text)).unwrap_or(0);
            let outcome = &trace.outcomes[id];
            let (expected, count) = match outcome {
                Outcome::Accepted => (1, &mut totals.accepted),
                Outcome::Cancelled => (0, &mut totals.cancelled),
                Outcome::Rejected(_) => (0, &mut totals.rejected),
            };
            *count += 1;
            totals.commands += 1;
            // A command lost with the tail may have been resent.
            let lost = lost.contains(topic, text) && effects <= 1;
            if effects != expected && !lost {
                return Err(format!(
                    "{text} in {topic} was {outcome:?}: expected {expected} effect(s), found {effects}"
                ));
            }
        }
    }
    for text in burst_texts {
        let count: u64 = logs
            .0
            .keys()
            .filter_map(|topic| effect_counts.remove(&(topic, text)))
            .sum();
        let lost = logs.0.keys().any(|topic| lost.contains(topic, text));
        if count != 1 && !(lost && count == 0) {
            return Err(format!("{text} was accepted and is in the logs {count} times"));
        }
    }
    // A crashed burst may have accepted commands that it did not record.
    let unexpected = effect_counts
        .iter()
        .find(|((_, text), count)| !text.starts_with("feed.") || **count > 1);
    unexpected.map_or(Ok(()), |((topic, text), count)| {
        Err(format!("{text} is {count} times in {topic}, and no tab sent it"))
    })
}
