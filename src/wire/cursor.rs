//! Where a reader stands in a topic's log. Pure values; knows no log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An event's place in its topic's log: from 1, without holes. 0 is before the first.
pub type Seq = u64;

/// The log's identity: another one means that the log was lost or made anew, and that a seq of the old one says nothing.
/// Below 2^53, so that every JSON reader takes it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    const MASK: u64 = (1 << 53) - 1;

    /// Takes the low 53 bits of a random number.
    pub const fn new(random: u64) -> Self {
        Self(random & Self::MASK)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Everything up to and with `seq` has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    pub epoch: Epoch,
    pub seq: Seq,
}

/// `epoch:seq`, as it stands in an address.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch.0, self.seq)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is written epoch:seq, two whole numbers")]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (epoch, seq) = text.split_once(':').ok_or(NotACursor)?;
        Ok(Self {
            epoch: Epoch::new(epoch.parse().map_err(|_| NotACursor)?),
            seq: seq.parse().map_err(|_| NotACursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::session::CommandId;
    use super::super::topic::{MAX_TOPIC_NAME, TopicName};
    use super::*;
    use crate::fuzz::fuzz_text;

    /// Cursors, names of topics and ids of commands, as addresses and frames bring them.
    #[test]
    fn no_text_breaks_a_name() {
        fuzz_text("names", |text| {
            if let Ok(cursor) = text.parse::<Cursor>() {
                assert_eq!(cursor.to_string().parse(), Ok(cursor));
                assert!(cursor.epoch.get() < 1 << 53);
            }
            if let Ok(topic) = text.parse::<TopicName>() {
                assert!(topic.as_str() == text && text.len() <= MAX_TOPIC_NAME && text.is_ascii());
                assert_eq!(format!("{}/{}", topic.kind(), topic.rest()), text);
            }
            if let Ok(id) = CommandId::try_from(text.to_owned()) {
                assert_eq!(id.as_str().len(), 32);
            }
        });
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor {
            epoch: Epoch::new(u64::MAX),
            seq: 7,
        };
        assert_eq!(cursor.to_string(), "9007199254740991:7");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "7", "1:", ":1", "1:-1", "a:1", "1:2:3"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotACursor), "{wrong}");
        }
    }
}
