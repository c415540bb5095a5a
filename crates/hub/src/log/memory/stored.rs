//! A topic of the in-memory log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::limits;
use crate::log::{
    AcceptedCommand, AnswerCounts, Entry, Head, History, LogEnd, LogError, LogTail, Millis, PendingForward, Record,
    RedactedEvents, RedactionWrite, RejectedCommand, Retention, TailStart, chain, count_removable, millis,
};
use duplex_protocol::cursor::{Checksum, Epoch, Seq};
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

#[derive(Default)]
pub(super) struct StoredTopic {
    pub(super) last: Seq,
    /// The checksum up to `last`.
    pub(super) checksum: Option<Checksum>,
    /// The checksum of the newest removed event.
    pub(super) removed_checksum: Option<Checksum>,
    /// The events within the retention; they end at `last`.
    pub(super) events: VecDeque<Record>,
    /// The number of answers that were ever stored.
    answers: AnswerCounts,
    /// The log's version of the newest append.
    pub(super) version: u64,
    pub(super) commands: VecDeque<(AcceptedCommand, Millis)>,
    pub(super) rejections: VecDeque<(RejectedCommand, Millis)>,
    /// The newest timestamp among the ids that were removed from either list.
    pub(super) forgotten: Option<Millis>,
    pub(super) snapshot: Option<(Seq, Vec<u8>)>,
    /// Undelivered forwards, by event and index.
    pub(super) forwards: BTreeMap<(Seq, u32), PendingForward>,
}

impl StoredTopic {
    pub(super) fn head(&self, epoch: Epoch) -> Head {
        Head {
            epoch,
            first: self.events.front().map_or(self.last + 1, |record| record.seq),
            last: self.last,
            checksum: self.checksum,
            answers: self.answers,
        }
    }

    pub(super) fn checksum(&self, seq: Seq) -> Option<Checksum> {
        let Head { first, .. } = self.head(Epoch::new(0));
        match self.events.binary_search_by_key(&seq, |record| record.seq) {
            Ok(index) => self.events.get(index)?.checksum,
            Err(_) if seq == self.last => self.checksum,
            Err(_) if seq.saturating_add(1) == first => self.removed_checksum,
            Err(_) => None,
        }
    }

    pub(super) fn append(&mut self, name: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> Result<Seq, LogError> {
        if !expected.is_at(self.last, self.checksum, self.answers) {
            return Err(expected.conflict(self.last));
        }
        for Entry {
            command,
            sender,
            at,
            events,
            rejection,
            forwards,
            delivers: _,
        } in entries
        {
            if let Some(rejection) = rejection {
                let rejected = RejectedCommand {
                    sender,
                    command,
                    rejection,
                };
                self.reject(rejected, at);
                continue;
            }
            let first = self.last + 1;
            for forward in forwards
                .into_iter()
                .map(|forward| forward.into_pending(name, first, at))
            {
                self.forwards.insert((forward.key.seq, forward.key.index), forward);
            }
            for (amends, event) in events {
                self.last += 1;
                let seq = self.last;
                self.checksum = chain::next_checksum(self.checksum, seq, &event);
                let checksum = self.checksum;
                self.events.push_back(Record {
                    seq,
                    at,
                    amends,
                    checksum,
                    event,
                });
            }
            let seq = self.last;
            self.answers.accepted += 1;
            self.commands.push_back((AcceptedCommand { sender, command, seq }, at));
        }
        Ok(self.last)
    }

    fn reject(&mut self, rejected: RejectedCommand, at: Millis) {
        self.answers.rejected += 1;
        self.rejections.push_back((rejected, at));
        let oldest = at.saturating_sub(millis(limits::DEDUPE_AGE));
        while self.rejections.len() > limits::DEDUPE_ENTRIES
            || self.rejections.front().is_some_and(|(_, at)| *at < oldest)
        {
            let removed = self
                .rejections
                .pop_front()
                .and_then(|(removed, _)| removed.command.time());
            self.forgotten = self.forgotten.max(removed);
        }
    }

    /// See [`Log::tail`](crate::log::Log::tail).
    pub(super) fn tail(&self, start: TailStart, limit: usize, epoch: Epoch) -> Option<LogTail> {
        let head = self.head(epoch);
        let missing = head.last.checked_sub(start.seq)?;
        if missing > limit as u64 || !start.answers.is_within(head.answers, limit) {
            return None;
        }
        let newest = |count: u64, stored: usize| stored.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        let accepted = newest(head.answers.accepted - start.answers.accepted, self.commands.len());
        let rejected = newest(head.answers.rejected - start.answers.rejected, self.rejections.len());
        let tail = LogTail {
            head,
            checksum: self.checksum(start.seq),
            snapshot: self.snapshot.as_ref().map_or(0, |(seq, _)| *seq),
            records: self
                .events
                .iter()
                .skip(newest(missing, self.events.len()))
                .cloned()
                .collect(),
            commands: self
                .commands
                .iter()
                .skip(accepted)
                .map(|(known, _)| known.clone())
                .collect(),
            rejections: self
                .rejections
                .iter()
                .skip(rejected)
                .map(|(known, _)| known.clone())
                .collect(),
        };
        tail.is_complete(start).then_some(tail)
    }

    /// Removes the events after `seq` and the answers to their commands.
    pub(super) fn truncate(&mut self, seq: Seq) {
        self.checksum = self.checksum(seq);
        self.last = self.last.min(seq);
        self.events.retain(|record| record.seq <= seq);
        let before = self.commands.len();
        self.commands.retain(|(answered, _)| answered.seq <= seq);
        self.answers.accepted -= (before - self.commands.len()) as u64;
        self.snapshot.take_if(|(at, _)| *at > seq);
    }

    /// The newest answers, and the newest timestamp among the omitted ids.
    pub(super) fn answers(
        &self,
        limit: usize,
        since: Millis,
    ) -> (Vec<AcceptedCommand>, Vec<RejectedCommand>, Option<Millis>) {
        let keep = |id: &CommandId, at: Millis| at >= since || id.time().is_some();
        let commands = self.commands.iter().filter(|(entry, at)| keep(&entry.command, *at));
        let rejections = self.rejections.iter().filter(|(entry, at)| keep(&entry.command, *at));
        let (excess, excess_rejects) = (
            commands.clone().count().saturating_sub(limit),
            rejections.clone().count().saturating_sub(limit),
        );
        let omitted = commands.clone().take(excess).map(|(entry, _)| &entry.command);
        let omitted = omitted.chain(rejections.clone().take(excess_rejects).map(|(entry, _)| &entry.command));
        (
            commands.clone().skip(excess).map(|(entry, _)| entry.clone()).collect(),
            rejections
                .clone()
                .skip(excess_rejects)
                .map(|(entry, _)| entry.clone())
                .collect(),
            omitted.map(CommandId::time).max().flatten().max(self.forgotten),
        )
    }

    pub(super) fn redact(&mut self, RedactionWrite { redacted, state }: RedactionWrite) {
        match redacted {
            RedactedEvents::Before(seq) => {
                self.remove_oldest(|record| record.seq < seq);
                self.forwards.retain(|(event, _), _| *event >= seq);
            }
            RedactedEvents::Payloads(payloads) => {
                for (seq, payload) in payloads {
                    self.forwards.retain(|(event, _), _| *event != seq);
                    if let Ok(index) = self.events.binary_search_by_key(&seq, |record| record.seq)
                        && let Some(record) = self.events.get_mut(index)
                    {
                        record.event = payload;
                    }
                }
            }
        }
        self.snapshot = Some((self.last, state));
    }

    /// Removes events from the oldest on while `is_removable` is true.
    fn remove_oldest(&mut self, is_removable: impl Fn(&Record) -> bool) {
        while self.events.front().is_some_and(&is_removable) {
            self.removed_checksum = self.events.pop_front().and_then(|record| record.checksum);
        }
    }

    pub(super) fn with_amendments(&self, events: &[Seq]) -> Vec<Record> {
        let belongs = |record: &&Record| {
            [Some(record.seq), record.amends]
                .iter()
                .flatten()
                .any(|seq| events.contains(seq))
        };
        self.events.iter().filter(belongs).cloned().collect()
    }

    pub(super) fn history(&self, before: Seq, limit: usize, head: Head) -> History {
        let earlier = self.events.iter().rev().filter(|record| record.seq < before);
        let mut roots = earlier.filter(|record| record.amends.is_none());
        let page: BTreeSet<Seq> = roots.by_ref().take(limit).map(|record| record.seq).collect();
        let reaches_start = roots.next().is_none();
        let belongs = |record: &&Record| page.contains(&record.amends.unwrap_or(record.seq));
        History {
            records: self.events.iter().filter(belongs).cloned().collect(),
            reaches_start,
            head,
        }
    }

    pub(super) fn snapshot(
        &mut self,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> Result<(), LogError> {
        if seq > self.last {
            let last = self.last;
            return Err(LogError::Conflict { expected: seq, last });
        }
        if self.snapshot.as_ref().is_some_and(|(newest, _)| *newest > seq) {
            return Ok(());
        }
        self.snapshot = Some((seq, state));
        let is_removable = retention.removable(seq, self.last, now);
        let events = self.events.iter().map(|event| (event.seq, event.at));
        let removed = self
            .events
            .drain(..count_removable(events, now, is_removable))
            .next_back();
        self.removed_checksum = removed.map_or(self.removed_checksum, |newest| newest.checksum);
        let oldest = now.saturating_sub(millis(limits::DEDUPE_AGE));
        while self.commands.len() > limits::DEDUPE_ENTRIES || self.commands.front().is_some_and(|(_, at)| *at < oldest)
        {
            let removed = self
                .commands
                .pop_front()
                .and_then(|(removed, _)| removed.command.time());
            self.forgotten = self.forgotten.max(removed);
        }
        Ok(())
    }
}
