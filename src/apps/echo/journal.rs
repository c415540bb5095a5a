//! The echo page's journal: a bounded log of its socket's events, which can be filtered and paused. Pure: the caller passes times
//! and bytes.

use std::{collections::VecDeque, sync::Arc};

use serde::{Serialize, Serializer};

/// Maximum number of entries in the journal.
pub const MAX_ENTRIES: usize = 10_000;
/// Maximum size of the journal's contents in bytes, so that large sent files do not exhaust a phone's memory.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Connecting,
    Open,
    Sent,
    Received,
    Closing,
    Closed,
    Error,
}

impl Kind {
    pub const fn is_message(self) -> bool {
        matches!(self, Self::Sent | Self::Received)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Text(String),
    #[serde(serialize_with = "as_hex")]
    Binary(Vec<u8>),
    /// A note about the event, not a message's payload.
    Note(String),
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Note(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn contains(&self, term: &str) -> bool {
        match self {
            Self::Text(text) | Self::Note(text) => text.to_lowercase().contains(term),
            Self::Binary(_) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The entry's number since the page was opened, from 1; never reused.
    pub id: u64,
    /// Milliseconds since the Unix epoch, by the browser's clock.
    pub at: f64,
    pub kind: Kind,
    pub content: Content,
    /// The payload's size in bytes.
    pub size: u64,
    /// The frame's size in bytes, header included; `None` for an event without a frame.
    #[serde(rename = "wire")]
    pub wire_size: Option<u64>,
    /// Milliseconds since the message that this one echoes was sent.
    pub round_trip: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KindFilter {
    #[default]
    All,
    Sent,
    Received,
    /// Everything but messages: opening, closing, errors.
    Lifecycle,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub kinds: KindFilter,
    /// The search term in lower case; empty for no search.
    pub term: String,
}

impl Filter {
    pub fn matches(&self, entry: &Entry) -> bool {
        let shown = match self.kinds {
            KindFilter::All => true,
            KindFilter::Sent => entry.kind == Kind::Sent,
            KindFilter::Received => entry.kind == Kind::Received,
            KindFilter::Lifecycle => !entry.kind.is_message(),
        };
        shown && (self.term.is_empty() || entry.content.contains(&self.term))
    }
}

/// The entries that were dropped to stay within the limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    pub entries: u64,
    pub bytes: u64,
}

/// Decides which entries are shown.
type EntryPredicate = Box<dyn Fn(&Entry) -> bool + Send + Sync>;

#[derive(Default)]
pub struct Journal {
    entries: VecDeque<Arc<Entry>>,
    /// The entries that match the filter, in order; updated with every entry.
    visible: VecDeque<Arc<Entry>>,
    /// `None` shows all entries.
    matches: Option<EntryPredicate>,
    bytes: usize,
    last_id: u64,
    dropped: Dropped,
    /// While paused, entries after this one are recorded but not shown.
    paused_after: Option<u64>,
}

impl Journal {
    pub fn push(
        &mut self,
        at: f64,
        kind: Kind,
        content: Content,
        size: u64,
        wire_size: Option<u64>,
        round_trip: Option<f64>,
    ) {
        self.last_id += 1;
        let entry = Arc::new(Entry {
            id: self.last_id,
            at,
            kind,
            content,
            size,
            wire_size,
            round_trip,
        });
        self.bytes += entry.content.len();
        if self.matches.as_ref().is_none_or(|matches| matches(&entry)) {
            self.visible.push_back(entry.clone());
        }
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENTRIES || (self.bytes > MAX_BYTES && self.entries.len() > 1) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        let len = oldest.content.len();
        self.bytes -= len;
        self.dropped.entries += 1;
        self.dropped.bytes += len as u64;
        if self.visible.front().is_some_and(|entry| entry.id == oldest.id) {
            self.visible.pop_front();
        }
    }

    /// Shows only matching entries. Takes a closure, so that the island's chunk does not contain the search code.
    pub fn set_filter(&mut self, matches: impl Fn(&Entry) -> bool + Send + Sync + 'static) {
        self.visible = self.entries.iter().filter(|entry| matches(entry)).cloned().collect();
        self.matches = Some(Box::new(matches));
    }

    pub fn pause(&mut self) {
        self.paused_after = Some(self.last_id);
    }

    pub fn resume(&mut self) {
        self.paused_after = None;
    }

    /// Removes all entries. Ids continue, and cleared entries do not count as dropped.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.visible.clear();
        self.bytes = 0;
        self.dropped = Dropped::default();
        if self.paused_after.is_some() {
            self.pause();
        }
    }

    /// The number of rows shown.
    pub fn len(&self) -> usize {
        match self.paused_after {
            None => self.visible.len(),
            Some(last) => self.visible.partition_point(|entry| entry.id <= last),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn row(&self, index: usize) -> Option<Arc<Entry>> {
        (index < self.len()).then(|| self.visible.get(index).cloned()).flatten()
    }

    pub fn entry(&self, id: u64) -> Option<Arc<Entry>> {
        let index = self.entries.partition_point(|entry| entry.id < id);
        self.entries.get(index).filter(|entry| entry.id == id).cloned()
    }

    pub fn total(&self) -> usize {
        self.entries.len()
    }

    /// The number of rows held back by the pause.
    pub fn paused_count(&self) -> usize {
        self.visible.len() - self.len()
    }

    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    pub fn export(&self) -> JournalExport {
        JournalExport {
            dropped: self.dropped,
            entries: self.entries.iter().map(|entry| (**entry).clone()).collect(),
        }
    }
}

/// The journal as a file.
#[derive(Debug, Serialize)]
pub struct JournalExport {
    pub dropped: Dropped,
    pub entries: Vec<Entry>,
}

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Content {
        Content::Text(text.to_owned())
    }

    fn push(journal: &mut Journal, kind: Kind, content: Content) {
        let size = content.len() as u64;
        journal.push(0.0, kind, content, size, None, None);
    }

    fn ids(journal: &Journal) -> Vec<u64> {
        (0..journal.len())
            .filter_map(|index| journal.row(index))
            .map(|entry| entry.id)
            .collect()
    }

    #[test]
    fn beyond_the_limit_the_oldest_entries_are_dropped_and_counted() {
        let mut journal = Journal::default();
        for _ in 0..MAX_ENTRIES + 3 {
            push(&mut journal, Kind::Sent, text("four"));
        }
        assert_eq!(journal.len(), MAX_ENTRIES);
        assert_eq!(journal.dropped(), Dropped { entries: 3, bytes: 12 });
        assert_eq!(journal.row(0).map(|entry| entry.id), Some(4));
        assert!(journal.entry(3).is_none() && journal.entry(4).is_some());
    }

    #[test]
    fn contents_are_limited_in_bytes_but_the_newest_stays() {
        let mut journal = Journal::default();
        push(&mut journal, Kind::Received, text("small"));
        push(&mut journal, Kind::Received, Content::Binary(vec![0; MAX_BYTES + 1]));
        assert_eq!(ids(&journal), [2]);
        assert_eq!(journal.dropped(), Dropped { entries: 1, bytes: 5 });
    }

    #[test]
    fn a_pause_holds_new_rows_back_without_losing_any() {
        let mut journal = Journal::default();
        push(&mut journal, Kind::Sent, text("a"));
        journal.pause();
        push(&mut journal, Kind::Sent, text("b"));
        assert_eq!((ids(&journal), journal.paused_count()), (vec![1], 1));
        journal.resume();
        assert_eq!((ids(&journal), journal.paused_count()), (vec![1, 2], 0));
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Sent),
            Just(Kind::Received),
            Just(Kind::Open),
            Just(Kind::Closed)
        ]
    }

    proptest! {
        /// The incrementally updated rows equal a filter over all entries.
        #[test]
        fn rows_always_match_the_filter(
            before in prop::collection::vec((kinds(), "[a-c]{0,3}"), 0..40),
            after in prop::collection::vec((kinds(), "[a-c]{0,3}"), 0..40),
            term in "[a-c]{0,1}",
        ) {
            let mut journal = Journal::default();
            for (kind, words) in before { push(&mut journal, kind, text(&words)); }
            let filter = Filter { kinds: KindFilter::Sent, term };
            let matches = filter.clone();
            journal.set_filter(move |entry| matches.matches(entry));
            for (kind, words) in after { push(&mut journal, kind, text(&words)); }
            let kept = ids(&journal);
            let expected: Vec<u64> = journal.export().entries.iter().filter(|entry| filter.matches(entry)).map(|entry| entry.id).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
