//! The page's cache of one source's notices: those in the state, those dropped from it since, and earlier pages of history. Pure.

use std::collections::BTreeMap;

use super::super::model::{NoticeEntry, NoticeList};
use duplex_protocol::cursor::Seq;

/// Maximum cached notices of one source. Once reached, no more history is requested.
pub const MAX_CACHED: usize = 1_000;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct NoticeCache {
    notices: BTreeMap<Seq, NoticeEntry>,
    /// The next page of history ends before this seq.
    before: Seq,
    /// The cache contains the first notice of the log.
    is_complete: bool,
}

impl NoticeCache {
    pub fn all(&self) -> impl Iterator<Item = &NoticeEntry> {
        self.notices.values()
    }

    pub fn get(&self, seq: Seq) -> Option<&NoticeEntry> {
        self.notices.get(&seq)
    }

    /// The seq before which to request history; `None` if the cache is complete or full.
    pub fn next_page_before(&self) -> Option<Seq> {
        (!self.is_complete && self.notices.len() < MAX_CACHED).then_some(self.before)
    }

    /// Adds the state's notices. Returns whether the cache changed.
    pub fn sync(&mut self, list: &NoticeList) -> bool {
        let (Some(oldest), Some(newest)) = (list.notices.front(), list.notices.back()) else {
            if self.notices.is_empty() {
                (self.before, self.is_complete) = (Seq::MAX, list.has_all());
            }
            return false;
        };
        let (cached_last, state_first) = (self.notices.keys().next_back().copied(), oldest.seq);
        // Notices may be missing between the cache and the state, or the log was replaced: rebuild the cache from the state.
        let has_gap = cached_last.is_some_and(|last| last < state_first && !list.has_all() || last > newest.seq);
        if has_gap {
            self.notices.clear();
        }
        if self.notices.is_empty() {
            self.before = state_first;
            self.is_complete = list.has_all();
        }
        let before = self.notices.len();
        for entry in &list.notices {
            self.notices.entry(entry.seq).or_insert_with(|| entry.clone());
        }
        has_gap || self.notices.len() > before
    }

    /// Adds a notice as it arrives.
    pub fn insert(&mut self, entry: NoticeEntry) {
        if self.notices.is_empty() {
            self.before = entry.seq;
        }
        self.notices.entry(entry.seq).or_insert(entry);
    }

    /// Adds a page of history: its notices, the seq of its first event, and whether that event is the log's first.
    pub fn add_page(&mut self, notices: Vec<NoticeEntry>, oldest: Option<Seq>, is_first_page: bool) {
        self.before = oldest.map_or(self.before, |oldest| oldest.min(self.before));
        self.is_complete = is_first_page || oldest.is_none();
        self.notices.extend(notices.into_iter().map(|entry| (entry.seq, entry)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::model::NoticeEvent;
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
        /// Loading all pages of history gives every notice ever sent, in order, whether or not events arrived in between.
        #[test]
        fn all_pages_together_are_the_complete_history(before in 0..150_u64, after in 0..120_u64, is_connected in any::<bool>(), limit in 1..60_u64) {
            let (mut list, mut cache) = (NoticeList::default(), NoticeCache::default());
            for seq in 1..=before { Notices::apply(&mut list, seq, &event(seq)); }
            cache.sync(&list);
            for seq in before + 1..=before + after {
                Notices::apply(&mut list, seq, &event(seq));
                // A page that was suspended gets only the state, not the events.
                if is_connected { cache.insert(event(seq).entry(seq).unwrap()); cache.sync(&list); }
            }
            cache.sync(&list);
            let mut requests = 0;
            while let Some(from) = cache.next_page_before() {
                let page: Vec<_> = (1..from).rev().take(limit as usize).map(|seq| event(seq).entry(seq).unwrap()).collect();
                let oldest = page.last().map(|entry| entry.seq);
                cache.add_page(page, oldest, oldest.is_none_or(|seq| seq == 1));
                requests += 1;
                prop_assert!(requests <= 2 + (before + after) / limit);
            }
            let seqs: Vec<_> = cache.all().map(|entry| entry.seq).collect();
            prop_assert_eq!(seqs, (1..=before + after).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_replaced_log_clears_the_cache() {
        let (mut list, mut cache) = (NoticeList::default(), NoticeCache::default());
        (1..=9).for_each(|seq| Notices::apply(&mut list, seq, &event(seq)));
        assert!(cache.sync(&list) && !cache.sync(&list));
        let mut replaced = NoticeList::default();
        Notices::apply(&mut replaced, 1, &event(1));
        assert!(cache.sync(&replaced));
        assert_eq!((cache.all().count(), cache.next_page_before()), (1, None));
    }
}
