//! The notices of one source that the page holds: its state's, those that left it since, and pages of history before them.
//! Pure.

use std::collections::BTreeMap;

use super::super::model::{Board, Sent};
use duplex_protocol::cursor::Seq;

/// Notices of one source that a page holds; beyond, no more history is asked for.
pub const HELD: usize = 1_000;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    notices: BTreeMap<Seq, Sent>,
    /// History is asked for before this.
    before: Seq,
    /// Nothing lies before.
    whole: bool,
}

impl Held {
    pub fn all(&self) -> impl Iterator<Item = &Sent> {
        self.notices.values()
    }

    pub fn get(&self, seq: Seq) -> Option<&Sent> {
        self.notices.get(&seq)
    }

    /// Where history goes on, if there may be more of it and room for it.
    pub fn wants(&self) -> Option<Seq> {
        (!self.whole && self.notices.len() < HELD).then_some(self.before)
    }

    /// Takes over what the state has. Says whether that is news.
    pub fn agree_with(&mut self, board: &Board) -> bool {
        let (Some(oldest), Some(newest)) = (board.notices.front(), board.notices.back()) else {
            if self.notices.is_empty() {
                (self.before, self.whole) = (Seq::MAX, board.is_whole());
            }
            return false;
        };
        let (held_last, shown_first) = (self.notices.keys().next_back().copied(), oldest.seq);
        // Between what is held and what is there now something may be missing; or the log began anew.
        let parted = held_last.is_some_and(|last| last < shown_first && !board.is_whole() || last > newest.seq);
        if parted {
            self.notices.clear();
        }
        if self.notices.is_empty() {
            self.before = shown_first;
            self.whole = board.is_whole();
        }
        let before = self.notices.len();
        for sent in &board.notices {
            self.notices.entry(sent.seq).or_insert_with(|| sent.clone());
        }
        parted || self.notices.len() > before
    }

    /// One notice as it comes.
    pub fn hear(&mut self, sent: Sent) {
        if self.notices.is_empty() {
            self.before = sent.seq;
        }
        self.notices.entry(sent.seq).or_insert(sent);
    }

    /// A page of history: its notices, the seq of its first event, and whether that is the first of all.
    pub fn add_page(&mut self, notices: Vec<Sent>, oldest: Option<Seq>, first: bool) {
        self.before = oldest.map_or(self.before, |oldest| oldest.min(self.before));
        self.whole = first || oldest.is_none();
        self.notices.extend(notices.into_iter().map(|sent| (sent.seq, sent)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::model::Carries;
    use super::super::super::wire::{Notices, NoticesEvent};
    use super::*;
    use crate::wire::notice::{Level, LocalizedText, Notice};
    use duplex_protocol::topic::Topic;

    fn event(at: u64) -> NoticesEvent {
        let notice = Notice {
            title: LocalizedText::untranslated("x"),
            body: LocalizedText::untranslated(""),
            link: None,
            level: Level::Info,
            expires: None,
        };
        NoticesEvent::Sent { at, notice }
    }

    proptest! {
        /// However a page came to be, and however it looks back: it ends with all that was ever sent, in order.
        #[test]
        fn all_pages_together_are_the_whole_history(before in 0..150_u64, after in 0..120_u64, alive in any::<bool>(), limit in 1..60_u64) {
            let (mut board, mut held) = (Board::default(), Held::default());
            for seq in 1..=before { Notices::apply(&mut board, seq, &event(seq)); }
            held.agree_with(&board);
            for seq in before + 1..=before + after {
                Notices::apply(&mut board, seq, &event(seq));
                // A page that sleeps hears of the state alone when it wakes.
                if alive { held.hear(event(seq).sent(seq).unwrap()); held.agree_with(&board); }
            }
            held.agree_with(&board);
            let mut asked = 0;
            while let Some(from) = held.wants() {
                let page: Vec<_> = (1..from).rev().take(limit as usize).map(|seq| event(seq).sent(seq).unwrap()).collect();
                let oldest = page.last().map(|sent| sent.seq);
                held.add_page(page, oldest, oldest.is_none_or(|seq| seq == 1));
                asked += 1;
                prop_assert!(asked <= 2 + (before + after) / limit);
            }
            let seqs: Vec<_> = held.all().map(|sent| sent.seq).collect();
            prop_assert_eq!(seqs, (1..=before + after).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_log_that_began_anew_replaces_what_was_held() {
        let (mut board, mut held) = (Board::default(), Held::default());
        (1..=9).for_each(|seq| Notices::apply(&mut board, seq, &event(seq)));
        assert!(held.agree_with(&board) && !held.agree_with(&board));
        let mut anew = Board::default();
        Notices::apply(&mut anew, 1, &event(1));
        assert!(held.agree_with(&anew));
        assert_eq!((held.all().count(), held.wants()), (1, None));
    }
}
