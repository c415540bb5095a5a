//! The states of a public topic and of an inbox, and how events change them, on the server and in the browser. Pure; `apply`
//! enforces the limits again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::wire::{Inbox, InboxCommand, InboxEvent, Millis, Notices, NoticesEvent, OWN_INBOX, is_source};
use crate::wire::first_visit::FirstVisit;
use crate::wire::notice::{EVERYONE, INBOX_KIND, Notice, PUBLIC_KIND};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

/// Maximum notices in a topic's state. Only these can be unread. Older ones are in the history, which the page loads on request.
pub const MAX_NOTICES: usize = 50;
/// Maximum total bytes of their texts: a page embeds the states of all sources. Room for three notices of maximum length.
pub const MAX_NOTICE_BYTES: usize = 32 << 10;
/// Maximum age of a notice in the state, in milliseconds. Older ones are in the history only and do not count as unread.
pub const MAX_NOTICE_AGE: Millis = 90 * 24 * 60 * 60 * 1000;
/// Maximum size of [`ReadMark::read_individually`]. It exceeds [`MAX_NOTICES`], so an overflow only marks notices as read that are
/// no longer in the state.
pub const MAX_READ_INDIVIDUALLY: usize = 2 * MAX_NOTICES;

/// A notice in a topic. Its seq is its id within the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeEntry {
    pub seq: Seq,
    pub at: Millis,
    pub notice: Notice,
}

impl NoticeEntry {
    pub fn is_unexpired(&self, now: Millis) -> bool {
        self.notice.expires.is_none_or(|expires| now < expires)
    }

    fn bytes(&self) -> usize {
        let Notice { title, body, link, .. } = &self.notice;
        let texts = title.ko.len() + title.en.len() + body.ko.len() + body.en.len();
        texts + link.as_ref().map_or(0, String::len)
    }
}

/// Clamps the times of one source's notices (in seq order), so that notices of several sources can be sorted by time: no time is
/// later than `now` or than the next notice's time.
pub fn clamp_times<'a>(times: impl DoubleEndedIterator<Item = &'a mut Millis>, now: Millis) {
    let mut latest = now;
    for at in times.rev() {
        latest = latest.min(*at);
        *at = latest;
    }
}

/// The newest notices of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeList {
    /// Total number of notices ever sent.
    #[serde(rename = "count")]
    pub total: u64,
    /// Ordered by seq; at most [`MAX_NOTICES`], and [`MAX_NOTICE_BYTES`] of text if there is more than one.
    pub notices: VecDeque<NoticeEntry>,
}

impl NoticeList {
    /// The seq of the newest notice; 0 without one. Later events of the log are not notices.
    pub fn head(&self) -> Seq {
        self.notices.back().map_or(0, |newest| newest.seq)
    }

    /// Whether the list contains every notice ever sent.
    pub fn has_all(&self) -> bool {
        self.total == self.notices.len() as u64
    }

    fn add(&mut self, entry: NoticeEntry) {
        if self.notices.back().is_some_and(|newest| newest.seq >= entry.seq) {
            return;
        }
        let now = entry.at;
        // An earlier notice cannot have a later time: the server's clock was ahead. Clamp it.
        for old in &mut self.notices {
            old.at = old.at.min(now);
        }
        self.notices
            .retain(|old| old.is_unexpired(now) && now.saturating_sub(old.at) < MAX_NOTICE_AGE);
        self.total = self.total.saturating_add(1);
        self.notices.push_back(entry);
        let mut bytes: usize = self.notices.iter().map(NoticeEntry::bytes).sum();
        while self.notices.len() > MAX_NOTICES || (bytes > MAX_NOTICE_BYTES && self.notices.len() > 1) {
            bytes -= self.notices.pop_front().map_or(0, |oldest| oldest.bytes());
        }
    }
}

/// The notices of one source that a person has read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadMark {
    /// All up to this seq are read.
    #[serde(rename = "upto")]
    pub read_up_to: Seq,
    /// The seqs after `read_up_to` that are read; at most [`MAX_READ_INDIVIDUALLY`].
    #[serde(rename = "also")]
    pub read_individually: BTreeSet<Seq>,
}

impl ReadMark {
    pub fn contains(&self, seq: Seq) -> bool {
        seq <= self.read_up_to || self.read_individually.contains(&seq)
    }

    fn mark_read(&mut self, seq: Seq) {
        if seq > self.read_up_to {
            self.read_individually.insert(seq);
        }
        self.compact();
    }

    fn mark_read_up_to(&mut self, seq: Seq) {
        self.read_up_to = self.read_up_to.max(seq);
        self.compact();
    }

    /// Merges contiguous seqs into `read_up_to`, and enforces the maximum.
    fn compact(&mut self) {
        while let Some(first) = self.read_individually.first().copied() {
            let is_contiguous = first <= self.read_up_to.saturating_add(1);
            if !is_contiguous && self.read_individually.len() <= MAX_READ_INDIVIDUALLY {
                break;
            }
            self.read_individually.pop_first();
            self.read_up_to = self.read_up_to.max(first);
        }
    }
}

/// An inbox: the notices sent to one person, what they have read of each source, and the groups that they follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxState {
    #[serde(rename = "board")]
    pub list: NoticeList,
    /// By source; at most one per source.
    pub marks: BTreeMap<String, ReadMark>,
    pub follows: BTreeSet<String>,
}

impl InboxState {
    /// Whether a read mark covers the notice. For display, use [`counts_as_read`](Self::counts_as_read).
    pub fn has_read(&self, source: &str, seq: Seq) -> bool {
        self.marks.get(source).is_some_and(|mark| mark.contains(seq))
    }

    /// Whether a notice counts as read: it was read, or sent to a public topic before the person's first visit.
    pub fn counts_as_read(&self, source: &str, entry: &NoticeEntry, FirstVisit(first_visit): FirstVisit) -> bool {
        (source != OWN_INBOX && entry.at < first_visit) || self.has_read(source, entry.seq)
    }

    /// The number of unread notices in a source's list.
    pub fn unread_count(&self, source: &str, list: &NoticeList, first_visit: FirstVisit, now: Millis) -> usize {
        let is_unread =
            |entry: &&NoticeEntry| entry.is_unexpired(now) && !self.counts_as_read(source, entry, first_visit);
        list.notices.iter().filter(is_unread).count()
    }

    fn mark_of(&mut self, source: &str) -> Option<&mut ReadMark> {
        is_source(source).then(|| self.marks.entry(source.to_owned()).or_default())
    }
}

impl Topic for Notices {
    const KIND: &'static str = PUBLIC_KIND;
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = NoticesEvent;
    type State = NoticeList;

    fn apply(list: &mut NoticeList, seq: Seq, event: &NoticesEvent) {
        let NoticesEvent::Sent { at, notice } = event;
        list.add(NoticeEntry {
            seq,
            at: *at,
            notice: notice.clone(),
        });
    }
}

impl Topic for Inbox {
    const KIND: &'static str = INBOX_KIND;
    const PRESENCE: bool = false;

    type Command = InboxCommand;
    type Event = InboxEvent;
    type State = InboxState;

    fn apply(inbox: &mut InboxState, seq: Seq, event: &InboxEvent) {
        match event {
            InboxEvent::Sent { at, notice } => inbox.list.add(NoticeEntry {
                seq,
                at: *at,
                notice: notice.clone(),
            }),
            InboxEvent::Read { source, seqs } => {
                if let Some(mark) = inbox.mark_of(source) {
                    seqs.iter().for_each(|seq| mark.mark_read(*seq));
                }
            }
            InboxEvent::ReadAll { heads } => {
                for (source, head) in heads {
                    if let Some(mark) = inbox.mark_of(source) {
                        mark.mark_read_up_to(*head);
                    }
                }
            }
            InboxEvent::Followed { group, from } => {
                if let Some(mark) = inbox.mark_of(group) {
                    mark.mark_read_up_to(*from);
                    inbox.follows.insert(group.clone());
                }
            }
            InboxEvent::Unfollowed { group } => {
                inbox.follows.remove(group);
            }
        }
    }
}

/// An event that may contain a notice. Implemented for both topic kinds, so that pages read either history.
pub trait NoticeEvent {
    fn entry(&self, seq: Seq) -> Option<NoticeEntry>;
}

impl NoticeEvent for NoticesEvent {
    fn entry(&self, seq: Seq) -> Option<NoticeEntry> {
        let Self::Sent { at, notice } = self;
        Some(NoticeEntry {
            seq,
            at: *at,
            notice: notice.clone(),
        })
    }
}

impl NoticeEvent for InboxEvent {
    fn entry(&self, seq: Seq) -> Option<NoticeEntry> {
        match self {
            Self::Sent { at, notice } => Some(NoticeEntry {
                seq,
                at: *at,
                notice: notice.clone(),
            }),
            _ => None,
        }
    }
}

/// Whether a person who follows these groups receives the notices of `source`.
pub fn receives(follows: &BTreeSet<String>, source: &str) -> bool {
    source == OWN_INBOX || source == EVERYONE || follows.contains(source)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_in_the_future_is_clamped() {
        let clamped = |mut times: Vec<Millis>, now| {
            clamp_times(times.iter_mut(), now);
            times
        };
        assert_eq!(clamped(vec![5, 7, 9], 10), [5, 7, 9]);
        assert_eq!(clamped(vec![5, 90, 80], 10), [5, 10, 10]);
        assert_eq!(
            clamped(vec![5, 90, 8, 9], 100),
            [5, 8, 8, 9],
            "it was sent before the next one"
        );
    }

    #[test]
    fn contiguous_reads_are_merged() {
        let mut mark = ReadMark::default();
        [2, 1, 4].into_iter().for_each(|seq| mark.mark_read(seq));
        assert_eq!((mark.read_up_to, mark.read_individually.len()), (2, 1));
        mark.mark_read_up_to(3);
        assert_eq!((mark.read_up_to, mark.read_individually.len()), (4, 0));
        mark.mark_read_up_to(1);
        mark.mark_read(Seq::MAX);
        assert!(mark.contains(Seq::MAX) && !mark.contains(5));
    }

    proptest! {
        /// After reads in any order, no notice in the state is marked as read unless it was read.
        #[test]
        fn marks_are_bounded_and_exact_for_the_newest(reads in prop::collection::vec(1..400_u64, 0..500)) {
            let (mut mark, mut known) = (ReadMark::default(), BTreeSet::new());
            for seq in reads {
                mark.mark_read(seq);
                known.insert(seq);
                prop_assert!(mark.read_individually.len() <= MAX_READ_INDIVIDUALLY);
                prop_assert!(known.iter().all(|seq| mark.contains(*seq)));
                let newest = *known.last().unwrap_or(&0);
                for seq in newest.saturating_sub(MAX_NOTICES as u64)..=newest {
                    prop_assert_eq!(mark.contains(seq), seq == 0 || known.contains(&seq) || seq <= mark.read_up_to);
                    prop_assert!(seq > mark.read_up_to || seq == 0 || known.contains(&seq), "{} was never read", seq);
                }
            }
        }
    }
}
