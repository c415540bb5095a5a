//! Up to where a visitor has read each room. Kept in the browser; pure here.

use std::collections::BTreeMap;

use super::model::MAX_ROOMS;

/// How many messages each room had when it was last read to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadMarks(BTreeMap<String, u64>);

impl ReadMarks {
    /// Of a room that was never read nothing is known.
    pub fn unread(&self, room: &str, count: u64) -> u64 {
        self.0.get(room).map_or(0, |read| count.saturating_sub(*read))
    }

    pub fn of(&self, room: &str) -> Option<u64> {
        self.0.get(room).copied()
    }

    /// Says whether that is news. A count may also be smaller: another log has begun.
    pub fn read(&mut self, room: &str, count: u64) -> bool {
        if self.0.len() >= 2 * MAX_ROOMS && !self.0.contains_key(room) {
            self.0.clear();
        }
        self.0.insert(room.to_owned(), count) != Some(count)
    }

    /// `lobby=12 other=3`; what cannot be read is left out.
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
    fn what_came_since_is_unread() {
        let mut marks = ReadMarks::default();
        assert_eq!(marks.unread("lobby", 5), 0);
        assert!(marks.read("lobby", 5) && !marks.read("lobby", 5));
        assert_eq!((marks.unread("lobby", 8), marks.unread("lobby", 2)), (3, 0));
    }

    #[test]
    fn they_are_read_as_they_are_written() {
        let mut marks = ReadMarks::default();
        marks.read("b", 2);
        marks.read("a", 1);
        assert_eq!(marks.to_string(), "a=1 b=2");
        assert_eq!(ReadMarks::parse("a=1 b=2 x y=z"), marks);
    }
}
