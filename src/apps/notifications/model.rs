//! What follows from the events of a public topic and of an inbox: the same on the server and in the browser.
//! Pure; trusts no event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::wire::{Inbox, InboxCommand, InboxEvent, ME, Millis, Notices, NoticesEvent, is_source};
use crate::wire::first_visit::FirstVisit;
use crate::wire::notice::{EVERYONE, INBOX_KIND, Notice, PUBLIC_KIND};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

/// Notices of a topic's state: what counts as unread, and what a page shows at first.
pub const KEPT: usize = 50;
/// Bytes of all their texts: a page brings the states of all sources. It holds three of the longest notices.
pub const KEPT_BYTES: usize = 32 << 10;
/// What is older is found in the history, and counts no more.
pub const KEPT_MS: Millis = 90 * 24 * 60 * 60 * 1000;
/// Notices of a source that were read each by itself, behind others that were not. More than a state keeps: when it is
/// exceeded, what is then taken for read has left the state.
pub const MAX_ALSO: usize = 2 * KEPT;

/// A notice that was sent; its seq is its id in its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub seq: Seq,
    pub at: Millis,
    pub notice: Notice,
}

impl Sent {
    pub fn is_current(&self, now: Millis) -> bool {
        self.notice.expires.is_none_or(|expires| now < expires)
    }

    fn bytes(&self) -> usize {
        let Notice { title, body, link, .. } = &self.notice;
        let texts = title.ko.len() + title.en.len() + body.ko.len() + body.en.len();
        texts + link.as_ref().map_or(0, String::len)
    }
}

/// The times of a source's notices, by seq, as they are compared with those of other sources. A clock that was ahead stamped a
/// time that had not come yet: it counts as now, and never as later than the time of what came after it.
pub fn settle_times<'a>(times: impl DoubleEndedIterator<Item = &'a mut Millis>, now: Millis) {
    let mut latest = now;
    for at in times.rev() {
        latest = latest.min(*at);
        *at = latest;
    }
}

/// The newest notices of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// How many there ever were.
    pub count: u64,
    /// By seq; at most [`KEPT`], and [`KEPT_BYTES`] of text if there is more than one.
    pub notices: VecDeque<Sent>,
}

impl Board {
    pub fn head(&self) -> Seq {
        self.notices.back().map_or(0, |newest| newest.seq)
    }

    /// All that there ever was.
    pub fn is_whole(&self) -> bool {
        self.count == self.notices.len() as u64
    }

    fn add(&mut self, sent: Sent) {
        if self.notices.back().is_some_and(|newest| newest.seq >= sent.seq) {
            return;
        }
        let now = sent.at;
        // What was sent before was not sent later: its clock was ahead.
        for old in &mut self.notices {
            old.at = old.at.min(now);
        }
        self.notices
            .retain(|old| old.is_current(now) && now.saturating_sub(old.at) < KEPT_MS);
        self.count = self.count.saturating_add(1);
        self.notices.push_back(sent);
        let mut bytes: usize = self.notices.iter().map(Sent::bytes).sum();
        while self.notices.len() > KEPT || (bytes > KEPT_BYTES && self.notices.len() > 1) {
            bytes -= self.notices.pop_front().map_or(0, |oldest| oldest.bytes());
        }
    }
}

/// What somebody has read of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Everything up to here.
    pub upto: Seq,
    /// And these beyond; at most [`MAX_ALSO`].
    pub also: BTreeSet<Seq>,
}

impl Mark {
    pub fn has(&self, seq: Seq) -> bool {
        seq <= self.upto || self.also.contains(&seq)
    }

    fn read(&mut self, seq: Seq) {
        if seq > self.upto {
            self.also.insert(seq);
        }
        self.settle();
    }

    fn read_to(&mut self, seq: Seq) {
        self.upto = self.upto.max(seq);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(first) = self.also.first().copied() {
            let next = first <= self.upto.saturating_add(1);
            if !next && self.also.len() <= MAX_ALSO {
                break;
            }
            self.also.pop_first();
            self.upto = self.upto.max(first);
        }
    }
}

/// An inbox: what was sent to this person, what they have read of each source, and the groups that they follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxState {
    pub board: Board,
    /// By source; there are few sources.
    pub marks: BTreeMap<String, Mark>,
    pub follows: BTreeSet<String>,
}

impl InboxState {
    pub fn has_read(&self, source: &str, seq: Seq) -> bool {
        self.marks.get(source).is_some_and(|mark| mark.has(seq))
    }

    /// Whether this notice is no news: it was read, or sent to everybody before this person came.
    pub fn knows(&self, source: &str, sent: &Sent, FirstVisit(arrival): FirstVisit) -> bool {
        (source != ME && sent.at < arrival) || self.has_read(source, sent.seq)
    }

    /// How many notices of this board wait to be read.
    pub fn unread(&self, source: &str, board: &Board, arrival: FirstVisit, now: Millis) -> usize {
        let waits = |sent: &&Sent| sent.is_current(now) && !self.knows(source, sent, arrival);
        board.notices.iter().filter(waits).count()
    }

    fn mark(&mut self, source: &str) -> Option<&mut Mark> {
        is_source(source).then(|| self.marks.entry(source.to_owned()).or_default())
    }
}

impl Topic for Notices {
    const KIND: &'static str = PUBLIC_KIND;
    const PRESENCE: bool = false;

    type Command = NoCommand;
    type Event = NoticesEvent;
    type State = Board;

    fn apply(board: &mut Board, seq: Seq, event: &NoticesEvent) {
        let NoticesEvent::Sent { at, notice } = event;
        board.add(Sent {
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
            InboxEvent::Sent { at, notice } => inbox.board.add(Sent {
                seq,
                at: *at,
                notice: notice.clone(),
            }),
            InboxEvent::Read { source, seqs } => {
                if let Some(mark) = inbox.mark(source) {
                    seqs.iter().for_each(|seq| mark.read(*seq));
                }
            }
            InboxEvent::ReadAll { heads } => {
                for (source, head) in heads {
                    if let Some(mark) = inbox.mark(source) {
                        mark.read_to(*head);
                    }
                }
            }
            InboxEvent::Followed { group, from } => {
                if let Some(mark) = inbox.mark(group) {
                    mark.read_to(*from);
                    inbox.follows.insert(group.clone());
                }
            }
            InboxEvent::Unfollowed { group } => {
                inbox.follows.remove(group);
            }
        }
    }
}

/// The notice that an event of a topic is, at its seq: pages read histories of both kinds alike.
pub trait Carries {
    fn sent(&self, seq: Seq) -> Option<Sent>;
}

impl Carries for NoticesEvent {
    fn sent(&self, seq: Seq) -> Option<Sent> {
        let Self::Sent { at, notice } = self;
        Some(Sent {
            seq,
            at: *at,
            notice: notice.clone(),
        })
    }
}

impl Carries for InboxEvent {
    fn sent(&self, seq: Seq) -> Option<Sent> {
        match self {
            Self::Sent { at, notice } => Some(Sent {
                seq,
                at: *at,
                notice: notice.clone(),
            }),
            _ => None,
        }
    }
}

/// Whether `source` is shown to somebody who follows these groups.
pub fn reaches(follows: &BTreeSet<String>, source: &str) -> bool {
    source == ME || source == EVERYONE || follows.contains(source)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_that_has_not_come_outranks_nothing_newer() {
        let settled = |mut times: Vec<Millis>, now| {
            settle_times(times.iter_mut(), now);
            times
        };
        assert_eq!(settled(vec![5, 7, 9], 10), [5, 7, 9]);
        assert_eq!(settled(vec![5, 90, 80], 10), [5, 10, 10]);
        assert_eq!(
            settled(vec![5, 90, 8, 9], 100),
            [5, 8, 8, 9],
            "it came before the one after it"
        );
    }

    #[test]
    fn what_is_read_one_after_another_is_one_number() {
        let mut mark = Mark::default();
        [2, 1, 4].into_iter().for_each(|seq| mark.read(seq));
        assert_eq!((mark.upto, mark.also.len()), (2, 1));
        mark.read_to(3);
        assert_eq!((mark.upto, mark.also.len()), (4, 0));
        mark.read_to(1);
        mark.read(Seq::MAX);
        assert!(mark.has(Seq::MAX) && !mark.has(5));
    }

    proptest! {
        /// Read one by one in any order: nothing among the newest is taken for read that was not.
        #[test]
        fn marks_are_bounded_and_exact_where_it_counts(reads in prop::collection::vec(1..400_u64, 0..500)) {
            let (mut mark, mut known) = (Mark::default(), BTreeSet::new());
            for seq in reads {
                mark.read(seq);
                known.insert(seq);
                prop_assert!(mark.also.len() <= MAX_ALSO);
                prop_assert!(known.iter().all(|seq| mark.has(*seq)));
                let newest = *known.last().unwrap_or(&0);
                for seq in newest.saturating_sub(KEPT as u64)..=newest {
                    prop_assert_eq!(mark.has(seq), seq == 0 || known.contains(&seq) || seq <= mark.upto);
                    prop_assert!(seq > mark.upto || seq == 0 || known.contains(&seq), "{} was never read", seq);
                }
            }
        }
    }
}
