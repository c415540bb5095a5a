//! What must hold when everything has settled, whatever happened. Pure, but for the reading of the log.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use duplex_hub::log::Log as _;
use duplex_leptos::status::{Phase, TopicStatus};
use duplex_protocol::{
    cursor::{Check, Cursor, Seq},
    session::ResetReason,
    topic::{Topic as _, TopicName},
};

use super::server::Server;
use super::tab::{Diary, End, Seen};
use super::world::Tally;
use crate::harness::kinds::{Note, Notes, NotesState};

/// The truth: every event of each topic, by seq from 1.
pub struct Logs(BTreeMap<TopicName, Vec<Note>>);

impl Logs {
    pub async fn read(server: &Server, topics: &[TopicName]) -> Result<Self, String> {
        let node = server.node().ok_or("the node is gone")?;
        let mut logs = BTreeMap::new();
        for topic in topics {
            let read = node.disk.read(topic, 0, usize::MAX >> 1).await;
            let records = read.map_err(|error| error.to_string())?;
            let whole = records.iter().zip(1..).all(|(record, seq)| record.seq == seq);
            if !whole {
                return Err(format!("the log of {topic} has a hole"));
            }
            let events = records.iter().map(|record| serde_json::from_slice(&record.event));
            let events = events.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
            logs.insert(topic.clone(), events);
        }
        Ok(Self(logs))
    }

    /// What follows from the events up to `seq`.
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

/// What each topic's log had before it lost its newest events.
#[derive(Debug, Default)]
pub struct Lost(BTreeMap<TopicName, LostTail>);

#[derive(Debug, Default)]
struct LostTail {
    events: Vec<Note>,
    checks: Vec<Option<Check>>,
    /// The newest that was left.
    left: Seq,
}

impl Lost {
    pub fn add(&mut self, topic: &TopicName, events: &[(Vec<u8>, Option<Check>)], count: u64) {
        let read = |(event, _): &(Vec<u8>, _)| serde_json::from_slice(event).unwrap();
        let tail = LostTail {
            events: events.iter().map(read).collect(),
            checks: events.iter().map(|(_, check)| *check).collect(),
            left: (events.len() as Seq).saturating_sub(count),
        };
        self.0.insert(topic.clone(), tail);
    }

    fn of(&self, topic: &TopicName) -> Option<&LostTail> {
        self.0.get(topic)
    }

    fn has(&self, topic: &TopicName, text: &str) -> bool {
        let lost = self.of(topic).into_iter();
        let mut lost = lost.flat_map(|tail| tail.events.iter().skip(tail.left as usize));
        lost.any(|event| matches!(event, Note::Add(said) if said == text))
    }
}

impl LostTail {
    /// Whether who has this cursor saw what was lost.
    fn has(&self, cursor: Cursor) -> bool {
        let check = cursor.seq.checked_sub(1).and_then(|at| self.checks.get(at as usize));
        cursor.seq > self.left && check == Some(&cursor.check)
    }
}

/// What is not yet as it will be.
pub fn unrest(diaries: &[impl Deref<Target = Diary>], logs: &Logs) -> Option<String> {
    let people = diaries.len() as u32;
    for (tab, diary) in diaries.iter().enumerate() {
        if diary.link.phase != Phase::Live || diary.link.queued > 0 {
            return Some(format!("tab {tab} is {:?}", diary.link));
        }
        if let Some((id, topic, text)) = diary.sent.iter().find(|(id, ..)| !diary.ends.contains_key(id)) {
            return Some(format!("tab {tab}: no end of {text} ({}) to {topic}", id.as_str()));
        }
        for (topic, events) in &logs.0 {
            let seen = diary.topics.get(topic)?;
            let at = seen.cursor.map(|cursor| cursor.seq);
            if seen.status != Some(TopicStatus::Live) || at != Some(events.len() as Seq) {
                let head = events.len();
                return Some(format!("tab {tab}: {topic} is {:?} at {at:?} of {head}", seen.status));
            }
            let (persons, sessions) = (seen.presence.people_count, seen.presence.session_count);
            if (persons, sessions) != (people, people) {
                let who = format!("{persons} people and {sessions} sessions instead of {people}");
                return Some(format!("tab {tab}: {topic} has {who}"));
            }
        }
    }
    None
}

/// `fed`: the texts that were accepted of a feed.
pub fn all(
    diaries: &[impl Deref<Target = Diary>],
    logs: &Logs,
    lost: &Lost,
    fed: &[String],
    tally: &mut Tally,
) -> Result<(), String> {
    for (tab, diary) in diaries.iter().enumerate() {
        for (topic, seen) in &diary.topics {
            let lost = lost.of(topic);
            as_in_the_log(topic, seen, logs, lost)
                .and_then(|()| reset_with_reason(seen, lost, tally))
                .map_err(|what| format!("tab {tab}, {topic}: {what}"))?;
            tally.resets += seen.states.len() as u64;
        }
        tally.trace = tally.trace.rotate_left(7) ^ diary.trace;
    }
    effects(diaries, logs, lost, fed, tally)
}

/// Every event at its place, and every state as it follows from the events before it; in the log as it was before its loss, or as
/// it is.
fn as_in_the_log(topic: &TopicName, seen: &Seen, logs: &Logs, lost: Option<&LostTail>) -> Result<(), String> {
    for (seq, event) in &seen.events {
        let kept = logs.0[topic].get(*seq as usize - 1);
        let was = lost.and_then(|lost| lost.events.get(*seq as usize - 1));
        if kept != Some(event) && was != Some(event) {
            return Err(format!("{event:?} was shown as {seq}, where the log has {kept:?}"));
        }
    }
    for (seq, state) in &seen.states {
        let was = lost.is_some_and(|lost| *state == fold(&lost.events, *seq));
        if *state != logs.fold(topic, *seq) && !was {
            return Err(format!("the state at {seq} does not follow from the log: {state:?}"));
        }
    }
    let end = logs.fold(topic, logs.0[topic].len() as Seq);
    if seen.state == end {
        Ok(())
    } else {
        Err(format!("shows {:?} in the end instead of {end:?}", seen.state))
    }
}

/// Who saw what was lost begins anew, and nobody else for that.
fn reset_with_reason(seen: &Seen, lost: Option<&LostTail>, tally: &mut Tally) -> Result<(), String> {
    for (reason, before) in &seen.resets {
        let count = match reason {
            ResetReason::Diverged => &mut tally.diverged,
            ResetReason::Ahead => &mut tally.ahead,
            _ => continue,
        };
        *count += 1;
        if !before.is_some_and(|before| lost.is_some_and(|lost| lost.has(before))) {
            return Err(format!("was reset for {reason:?} from {before:?}, and lost nothing"));
        }
    }
    Ok(())
}

fn effects(
    diaries: &[impl Deref<Target = Diary>],
    logs: &Logs,
    lost: &Lost,
    fed: &[String],
    tally: &mut Tally,
) -> Result<(), String> {
    let mut times: HashMap<(&TopicName, &str), u64> = HashMap::new();
    for (topic, events) in &logs.0 {
        for event in events {
            if let Note::Add(text) = event {
                *times.entry((topic, text)).or_default() += 1;
            }
        }
    }
    for diary in diaries {
        for (id, topic, text) in &diary.sent {
            let effects = times.remove(&(topic, text)).unwrap_or(0);
            let end = &diary.ends[id];
            let (expected, count) = match end {
                End::Accepted => (1, &mut tally.accepted),
                End::Cancelled => (0, &mut tally.cancelled),
                End::Rejected(_) => (0, &mut tally.rejected),
            };
            *count += 1;
            tally.commands += 1;
            // What was lost may have been sent again.
            let lost = lost.has(topic, text) && effects <= 1;
            if effects != expected && !lost {
                return Err(format!(
                    "{text} in {topic} was {end:?} and has its effect {effects} times"
                ));
            }
        }
    }
    for text in fed {
        let found: u64 = logs.0.keys().filter_map(|topic| times.remove(&(topic, text))).sum();
        let lost = logs.0.keys().any(|topic| lost.has(topic, text));
        if found != 1 && !(lost && found == 0) {
            return Err(format!("{text} was accepted and is there {found} times"));
        }
    }
    // A feed that was cut short knows nothing of the rest.
    let strange = times
        .iter()
        .find(|((_, text), times)| !text.starts_with("feed.") || **times > 1);
    strange.map_or(Ok(()), |((topic, text), times)| {
        Err(format!("{text} is {times} times in {topic}, and nobody sent it"))
    })
}
