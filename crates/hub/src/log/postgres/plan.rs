//! Plans a transaction: which appends of a batch follow the events in the database, and the rows that they add. Pure.

use std::collections::HashMap;

use super::sql;
use crate::limits;
use crate::log::{AnswerCounts, Entry, ForwardKey, LogEnd, LogError, RedactedEvents, RedactionWrite, chain, millis};
use duplex_protocol::cursor::{Checksum, Seq};
use duplex_protocol::topic::TopicName;

/// A requested append.
pub(super) struct Append {
    pub topic: TopicName,
    pub expected: LogEnd,
    pub entries: Vec<Entry>,
    pub redaction: Option<RedactionWrite>,
}

/// A topic's row, which the transaction has locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicRow {
    pub id: i64,
    pub last: Seq,
    pub answers: AnswerCounts,
    pub checksum: Option<Checksum>,
}

/// The rows of a topic, by name. A topic that is not in the database is missing.
pub(super) type Topics = HashMap<TopicName, TopicState>;

pub(super) enum TopicState {
    Locked(TopicRow),
    /// Another transaction keeps the row locked.
    Busy,
}

/// The rows that a batch adds and changes, by column.
#[derive(Default)]
pub(super) struct Writes<'a> {
    pub topics: TopicColumns,
    pub events: EventColumns<'a>,
    pub answers: AnswerColumns<'a>,
    pub refusals: RefusalColumns<'a>,
    pub forwards: ForwardColumns<'a>,
    /// Delivered forwards.
    pub delivered: ForwardKeys<'a>,
    /// The topic, its newest event after the append, and the redaction.
    pub redactions: Vec<(i64, i64, &'a RedactionWrite)>,
}

#[derive(Default)]
pub(super) struct TopicColumns {
    pub id: Vec<i64>,
    pub last: Vec<i64>,
    pub answers: Vec<i64>,
    pub refusals: Vec<i64>,
    pub chain: Vec<Option<i64>>,
}

#[derive(Default)]
pub(super) struct EventColumns<'a> {
    pub topic: Vec<i64>,
    pub seq: Vec<i64>,
    pub at: Vec<i64>,
    pub amends: Vec<Option<i64>>,
    pub event: Vec<&'a str>,
    pub chain: Vec<Option<i64>>,
}

#[derive(Default)]
pub(super) struct AnswerColumns<'a> {
    pub topic: Vec<i64>,
    pub n: Vec<i64>,
    pub command: Vec<&'a str>,
    pub person: Vec<&'a str>,
    pub seq: Vec<i64>,
    pub at: Vec<i64>,
    pub time: Vec<Option<i64>>,
}

#[derive(Default)]
pub(super) struct RefusalColumns<'a> {
    pub topic: Vec<i64>,
    pub n: Vec<i64>,
    pub command: Vec<&'a str>,
    pub person: Vec<&'a str>,
    pub why: Vec<String>,
    pub at: Vec<i64>,
    pub time: Vec<Option<i64>>,
    /// The rejections that are removed: each topic, the number of its newest surplus rejection, and the time before which one is too
    /// old.
    pub bounds: HashMap<i64, (i64, i64)>,
}

#[derive(Default)]
pub(super) struct ForwardColumns<'a> {
    pub topic: Vec<i64>,
    pub seq: Vec<i64>,
    pub n: Vec<i64>,
    pub target: Vec<&'a str>,
    pub command: Vec<&'a str>,
    pub at: Vec<i64>,
    pub payload: Vec<&'a str>,
}

/// Identifies forwards, by column.
#[derive(Default)]
pub(super) struct ForwardKeys<'a> {
    pub from: Vec<&'a str>,
    pub seq: Vec<i64>,
    pub n: Vec<i64>,
}

impl<'a> ForwardKeys<'a> {
    pub(super) fn new(keys: impl IntoIterator<Item = &'a ForwardKey>) -> Self {
        let mut columns = Self::default();
        columns.extend(keys);
        columns
    }

    fn extend(&mut self, keys: impl IntoIterator<Item = &'a ForwardKey>) {
        for key in keys {
            self.from.push(key.from.as_str());
            self.seq.push(sql(key.seq));
            self.n.push(key.index.into());
        }
    }
}

/// Decides each append of the batch in turn, as if they were appended one after the other. A conflict changes nothing.
pub(super) fn plan<'a>(batch: &'a [Append], topics: &mut Topics) -> (Vec<Result<Seq, LogError>>, Writes<'a>) {
    let mut writes = Writes::default();
    let decided: Vec<_> = batch.iter().map(|append| writes.add(append, topics)).collect();
    let stored = batch.iter().zip(&decided).filter(|(_, result)| result.is_ok());
    let mut changed: Vec<_> = stored.map(|(append, _)| &append.topic).collect();
    changed.sort_unstable();
    changed.dedup();
    for topic in changed {
        if let Some(TopicState::Locked(row)) = topics.get(topic) {
            writes.topics.push(row);
        }
    }
    (decided, writes)
}

impl<'a> Writes<'a> {
    fn add(&mut self, append: &'a Append, topics: &mut Topics) -> Result<Seq, LogError> {
        let topic = match topics.get_mut(&append.topic) {
            Some(TopicState::Locked(topic)) => topic,
            Some(TopicState::Busy) => {
                return Err(LogError::Unavailable(
                    "another transaction keeps the topic locked".to_owned(),
                ));
            }
            None => return Err(append.expected.conflict(0)),
        };
        if !append.expected.is_at(topic.last, topic.checksum, topic.answers) {
            return Err(append.expected.conflict(topic.last));
        }
        let entries: Vec<_> = append.entries.iter().map(TextEntry::new).collect::<Result<_, _>>()?;
        if let Some(RedactedEvents::Payloads(payloads)) = append.redaction.as_ref().map(|redaction| &redaction.redacted)
        {
            payloads.iter().try_for_each(|(_, payload)| text(payload).map(drop))?;
        }
        for entry in entries {
            self.add_entry(entry, topic);
        }
        if let Some(redaction) = &append.redaction {
            self.redactions.push((topic.id, sql(topic.last), redaction));
        }
        Ok(topic.last)
    }

    fn add_entry(
        &mut self,
        TextEntry {
            entry,
            events,
            forwards,
            why,
        }: TextEntry<'a>,
        topic: &mut TopicRow,
    ) {
        let (at, first) = (sql(entry.at), topic.last + 1);
        for (amends, event) in events {
            topic.last += 1;
            topic.checksum = chain::next_checksum(topic.checksum, topic.last, event.as_bytes());
            self.events.topic.push(topic.id);
            self.events.seq.push(sql(topic.last));
            self.events.at.push(at);
            self.events.amends.push(amends.map(sql));
            self.events.event.push(event);
            self.events.chain.push(checksum_sql(topic.checksum));
        }
        match why {
            None => self.add_answer(entry, topic),
            Some(why) => self.add_refusal(entry, why, topic),
        }
        for (forward, payload) in entry.forwards.iter().zip(forwards) {
            self.forwards.topic.push(topic.id);
            self.forwards.seq.push(sql(first.saturating_add(forward.event as Seq)));
            self.forwards.n.push(forward.index.into());
            self.forwards.target.push(forward.to.as_str());
            self.forwards.command.push(forward.command.as_str());
            self.forwards.at.push(at);
            self.forwards.payload.push(payload);
        }
        self.delivered.extend(&entry.delivers);
    }

    fn add_answer(&mut self, entry: &'a Entry, topic: &mut TopicRow) {
        topic.answers.accepted += 1;
        self.answers.topic.push(topic.id);
        self.answers.n.push(sql(topic.answers.accepted));
        self.answers.command.push(entry.command.as_str());
        self.answers.person.push(&entry.sender.0);
        self.answers.seq.push(sql(topic.last));
        self.answers.at.push(sql(entry.at));
        self.answers.time.push(entry.command.time().map(sql));
    }

    fn add_refusal(&mut self, entry: &'a Entry, why: String, topic: &mut TopicRow) {
        topic.answers.rejected += 1;
        self.refusals.topic.push(topic.id);
        self.refusals.n.push(sql(topic.answers.rejected));
        self.refusals.command.push(entry.command.as_str());
        self.refusals.person.push(&entry.sender.0);
        self.refusals.why.push(why);
        self.refusals.at.push(sql(entry.at));
        self.refusals.time.push(entry.command.time().map(sql));
        let surplus = topic.answers.rejected.saturating_sub(limits::DEDUPE_ENTRIES as u64);
        let too_old = sql(entry.at.saturating_sub(millis(limits::DEDUPE_AGE)));
        let (bound, oldest) = self.refusals.bounds.entry(topic.id).or_insert((0, too_old));
        (*bound, *oldest) = (sql(surplus), too_old.max(*oldest));
    }
}

impl TopicColumns {
    fn push(&mut self, row: &TopicRow) {
        self.id.push(row.id);
        self.last.push(sql(row.last));
        self.answers.push(sql(row.answers.accepted));
        self.refusals.push(sql(row.answers.rejected));
        self.chain.push(checksum_sql(row.checksum));
    }
}

/// An entry whose payloads are known to be storable as text.
struct TextEntry<'a> {
    entry: &'a Entry,
    events: Vec<(Option<Seq>, &'a str)>,
    forwards: Vec<&'a str>,
    why: Option<String>,
}

impl<'a> TextEntry<'a> {
    fn new(entry: &'a Entry) -> Result<Self, LogError> {
        let event = |(amends, event): &'a (Option<Seq>, Vec<u8>)| Ok((*amends, text(event)?));
        let why = entry.rejection.as_ref().map(serde_json::to_string).transpose();
        Ok(Self {
            entry,
            events: entry.events.iter().map(event).collect::<Result<_, LogError>>()?,
            forwards: entry
                .forwards
                .iter()
                .map(|forward| text(&forward.payload))
                .collect::<Result<_, _>>()?,
            why: why.map_err(|error| LogError::Unavailable(error.to_string()))?,
        })
    }
}

/// JSON is UTF-8 without NUL, and PostgreSQL's `text` stores nothing else.
pub(super) fn text(json: &[u8]) -> Result<&str, LogError> {
    let text = std::str::from_utf8(json).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| LogError::Unavailable("a payload is not JSON".to_owned()))
}

pub(super) fn checksum_sql(checksum: Option<Checksum>) -> Option<i64> {
    checksum.map(|checksum| i64::from(checksum.get()))
}
