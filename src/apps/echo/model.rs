//! The echo page's journal: every event of its socket in both directions, bounded, filtered and paused.
//! Pure: the caller brings the clock and the bytes.

use std::{collections::VecDeque, sync::Arc};

use serde::{Serialize, Serializer};

/// The journal keeps at most this many entries,
pub const MAX_ENTRIES: usize = 10_000;
/// and at most this many bytes of content: a log of files must not fill a phone's memory.
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
    /// Words about the event, not bytes of a message.
    Note(String),
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Note(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn contains(&self, words: &str) -> bool {
        match self {
            Self::Text(text) | Self::Note(text) => text.to_lowercase().contains(words),
            Self::Binary(_) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Counts from 1 since the page was opened; never used twice.
    pub id: u64,
    /// Milliseconds since the Unix epoch, by the browser's clock.
    pub at: f64,
    pub kind: Kind,
    pub content: Content,
    /// Bytes of payload.
    pub size: u64,
    /// Bytes of the frame, header included; none for an event that no frame carries.
    pub wire: Option<u64>,
    /// Milliseconds since the message that this one answers was sent.
    pub round_trip: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Show {
    #[default]
    All,
    Sent,
    Received,
    /// What is no message: opening, closing, errors.
    Lifecycle,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub show: Show,
    /// Lower case; empty for no search.
    pub words: String,
}

impl Filter {
    pub fn admits(&self, entry: &Entry) -> bool {
        let shown = match self.show {
            Show::All => true,
            Show::Sent => entry.kind == Kind::Sent,
            Show::Received => entry.kind == Kind::Received,
            Show::Lifecycle => !entry.kind.is_message(),
        };
        shown && (self.words.is_empty() || entry.content.contains(&self.words))
    }
}

/// What the journal let go to stay within its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    pub entries: u64,
    pub bytes: u64,
}

/// Which entries are shown.
type Admits = Box<dyn Fn(&Entry) -> bool + Send + Sync>;

#[derive(Default)]
pub struct Journal {
    entries: VecDeque<Arc<Entry>>,
    /// The entries that are shown, in order; kept up to date entry by entry.
    shown: VecDeque<Arc<Entry>>,
    /// None: all are shown.
    admits: Option<Admits>,
    bytes: usize,
    last_id: u64,
    dropped: Dropped,
    /// While paused, entries after this one are kept but not shown.
    paused_after: Option<u64>,
}

impl Journal {
    pub fn push(
        &mut self,
        at: f64,
        kind: Kind,
        content: Content,
        size: u64,
        wire: Option<u64>,
        round_trip: Option<f64>,
    ) {
        self.last_id += 1;
        let entry = Arc::new(Entry {
            id: self.last_id,
            at,
            kind,
            content,
            size,
            wire,
            round_trip,
        });
        self.bytes += entry.content.len();
        if self.admits.as_ref().is_none_or(|admits| admits(&entry)) {
            self.shown.push_back(entry.clone());
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
        if self.shown.front().is_some_and(|entry| entry.id == oldest.id) {
            self.shown.pop_front();
        }
    }

    /// Shows what `admits` says. Code to search comes with the search: an entry is noted without it.
    pub fn show_only(&mut self, admits: impl Fn(&Entry) -> bool + Send + Sync + 'static) {
        self.shown = self.entries.iter().filter(|entry| admits(entry)).cloned().collect();
        self.admits = Some(Box::new(admits));
    }

    pub fn pause(&mut self) {
        self.paused_after = Some(self.last_id);
    }

    pub fn resume(&mut self) {
        self.paused_after = None;
    }

    /// Forgets everything; ids go on, and what is cleared by hand is not counted as dropped.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.shown.clear();
        self.bytes = 0;
        self.dropped = Dropped::default();
        if self.paused_after.is_some() {
            self.pause();
        }
    }

    /// How many rows there are to show.
    pub fn len(&self) -> usize {
        match self.paused_after {
            None => self.shown.len(),
            Some(last) => self.shown.partition_point(|entry| entry.id <= last),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn row(&self, index: usize) -> Option<Arc<Entry>> {
        (index < self.len()).then(|| self.shown.get(index).cloned()).flatten()
    }

    pub fn entry(&self, id: u64) -> Option<Arc<Entry>> {
        let index = self.entries.partition_point(|entry| entry.id < id);
        self.entries.get(index).filter(|entry| entry.id == id).cloned()
    }

    pub fn total(&self) -> usize {
        self.entries.len()
    }

    /// Rows that came since the pause.
    pub fn held_back(&self) -> usize {
        self.shown.len() - self.len()
    }

    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    pub fn export(&self) -> Export {
        Export {
            dropped: self.dropped,
            entries: self.entries.iter().map(|entry| (**entry).clone()).collect(),
        }
    }
}

/// The journal as a file.
#[derive(Debug, Serialize)]
pub struct Export {
    pub dropped: Dropped,
    pub entries: Vec<Entry>,
}

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::content::hex(bytes))
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
    fn past_its_limit_it_lets_the_oldest_go_and_says_so() {
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
    fn large_contents_count_by_their_bytes_but_the_newest_stays() {
        let mut journal = Journal::default();
        push(&mut journal, Kind::Received, text("small"));
        push(&mut journal, Kind::Received, Content::Binary(vec![0; MAX_BYTES + 1]));
        assert_eq!(ids(&journal), [2]);
        assert_eq!(journal.dropped(), Dropped { entries: 1, bytes: 5 });
    }

    #[test]
    fn a_pause_holds_new_rows_back_and_loses_none() {
        let mut journal = Journal::default();
        push(&mut journal, Kind::Sent, text("a"));
        journal.pause();
        push(&mut journal, Kind::Sent, text("b"));
        assert_eq!((ids(&journal), journal.held_back()), (vec![1], 1));
        journal.resume();
        assert_eq!((ids(&journal), journal.held_back()), (vec![1, 2], 0));
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
        /// The rows kept entry by entry are those that a fresh look through all entries would find.
        #[test]
        fn rows_are_always_what_the_filter_admits(
            before in prop::collection::vec((kinds(), "[a-c]{0,3}"), 0..40),
            after in prop::collection::vec((kinds(), "[a-c]{0,3}"), 0..40),
            words in "[a-c]{0,1}",
        ) {
            let mut journal = Journal::default();
            for (kind, words) in before { push(&mut journal, kind, text(&words)); }
            let filter = Filter { show: Show::Sent, words };
            let admits = filter.clone();
            journal.show_only(move |entry| admits.admits(entry));
            for (kind, words) in after { push(&mut journal, kind, text(&words)); }
            let kept = ids(&journal);
            let expected: Vec<u64> = journal.export().entries.iter().filter(|entry| filter.admits(entry)).map(|entry| entry.id).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
