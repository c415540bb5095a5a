//! Read marks: how far a visitor has read each room. Stored in `localStorage` by `view::visitor`; this module is pure.

use std::collections::BTreeMap;

use super::model::MAX_ROOMS;

/// The message count of each room when it was last read to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadMarks(BTreeMap<String, u64>);

impl ReadMarks {
    /// The number of unread messages; 0 for a room that was never read.
    pub fn unread(&self, room: &str, count: u64) -> u64 {
        self.0.get(room).map_or(0, |read| count.saturating_sub(*read))
    }

    pub fn get(&self, room: &str) -> Option<u64> {
        self.0.get(room).copied()
    }

    /// Marks a room as read; returns whether the mark changed. The count may also shrink, as when the log was replaced.
    pub fn mark_read(&mut self, room: &str, count: u64) -> bool {
        if self.0.len() >= 2 * MAX_ROOMS && !self.0.contains_key(room) {
            self.0.clear();
        }
        self.0.insert(room.to_owned(), count) != Some(count)
    }

    /// Parses `lobby=12 other=3`; skips malformed entries.
    pub fn parse(text: &str) -> Self {
        let mark = |mark: &str| {
            let (room, count) = mark.split_once('=')?;
            Some((room.to_owned(), count.parse().ok()?))
        };
        Self(text.split(' ').filter_map(mark).collect())
    }
}

impl std::fmt::Display for ReadMarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let marks: Vec<_> = self.0.iter().map(|(room, count)| format!("{room}={count}")).collect();
        f.write_str(&marks.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_messages_are_unread() {
        let mut marks = ReadMarks::default();
        assert_eq!(marks.unread("lobby", 5), 0);
        assert!(marks.mark_read("lobby", 5) && !marks.mark_read("lobby", 5));
        assert_eq!((marks.unread("lobby", 8), marks.unread("lobby", 2)), (3, 0));
    }

    #[test]
    fn marks_round_trip_through_text() {
        let mut marks = ReadMarks::default();
        marks.mark_read("b", 2);
        marks.mark_read("a", 1);
        assert_eq!(marks.to_string(), "a=1 b=2");
        assert_eq!(ReadMarks::parse("a=1 b=2 x y=z"), marks);
    }
}
