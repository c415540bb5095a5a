//! A reader's position in a topic's log.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The position of an event in its topic's log: from 1, without gaps. 0 is before the first event.
pub type Seq = u64;

/// The identity of a topic's log. Another epoch means that the log was lost or recreated, and that seqs of the old log have no
/// meaning in the new one. Below 2^53, which every JSON reader represents exactly (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    const MASK: u64 = (1 << 53) - 1;

    /// Takes the low 53 bits of a random number.
    pub const fn new(random: u64) -> Self {
        Self(random & Self::MASK)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A chained hash of a topic's log up to and including an event. Two logs of one epoch that differ before a seq have different
/// checksums at it, with a collision probability of 2^-32. 32 bits suffice, because a wrong resumption requires both a lost tail and
/// a collision; they cost an event's frame 5 bytes in postcard and some 20 in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checksum(NonZeroU32);

impl Checksum {
    /// `None` for 0, which encodes the absence of a checksum.
    pub const fn new(bits: u32) -> Option<Self> {
        match NonZeroU32::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The number; never 0.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// A reader's position: the reader has all events up to and including `seq`.
///
/// ```
/// use duplex_protocol::cursor::{Checksum, Cursor, Epoch};
///
/// let cursor = Cursor::new(Epoch::new(5), 12).with_checksum(Checksum::new(77));
/// assert_eq!(cursor.to_string(), "5:12:77");
/// assert_eq!("5:12:77".parse(), Ok(cursor));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The log's identity.
    pub epoch: Epoch,
    /// The seq of the newest event seen; 0 before the first event.
    pub seq: Seq,
    /// The checksum of the log up to `seq`. `None` before the first event, for an event that was stored before logs had checksums,
    /// and from a client of protocol version 1: the cursor is then not verified.
    #[serde(rename = "check")]
    pub checksum: Option<Checksum>,
}

impl Cursor {
    /// A cursor without a checksum.
    pub const fn new(epoch: Epoch, seq: Seq) -> Self {
        let checksum = None;
        Self { epoch, seq, checksum }
    }

    /// The same position with a checksum.
    #[must_use]
    pub const fn with_checksum(self, checksum: Option<Checksum>) -> Self {
        Self { checksum, ..self }
    }
}

/// `epoch:seq:checksum` or `epoch:seq`, as in a URL.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch.0, self.seq)?;
        match self.checksum {
            Some(checksum) => write!(f, ":{}", checksum.get()),
            None => Ok(()),
        }
    }
}

/// Returned when a string is not a valid [`Cursor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected epoch:seq or epoch:seq:checksum, all integers")]
pub struct ParseCursorError;

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let (epoch, rest) = text.split_once(':').ok_or(ParseCursorError)?;
        let (seq, checksum) = match rest.split_once(':') {
            Some((seq, checksum)) => (seq, Some(checksum.parse().map(Checksum).map_err(|_| ParseCursorError)?)),
            None => (rest, None),
        };
        Ok(Self {
            epoch: Epoch::new(epoch.parse().map_err(|_| ParseCursorError)?),
            seq: seq.parse().map_err(|_| ParseCursorError)?,
            checksum,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::session::CommandId;
    use super::super::topic::{MAX_TOPIC_NAME, TopicName};
    use super::*;
    use duplex_fuzz::fuzz_text;

    /// Cursors, topic names and command ids, as they arrive in URLs and frames.
    #[test]
    fn parsing_never_panics_and_round_trips() {
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
    fn a_cursor_of_version_1_has_no_checksum() {
        let cursor: Cursor = serde_json::from_str(r#"{"epoch":5,"seq":2}"#).unwrap();
        assert_eq!(cursor, Cursor::new(Epoch::new(5), 2));
        let checked = serde_json::to_string(&cursor.with_checksum(Checksum::new(9))).unwrap();
        assert_eq!(checked, r#"{"epoch":5,"seq":2,"check":9}"#);
    }

    #[test]
    fn a_cursor_round_trips_as_text() {
        let cursor = Cursor::new(Epoch::new(u64::MAX), 7);
        assert_eq!(cursor.to_string(), "9007199254740991:7");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let checked = cursor.with_checksum(Checksum::new(u32::MAX));
        assert_eq!(checked.to_string(), "9007199254740991:7:4294967295");
        assert_eq!(checked.to_string().parse(), Ok(checked));
        for wrong in [
            "",
            "7",
            "1:",
            ":1",
            "1:-1",
            "a:1",
            "1:2:",
            "1:2:0",
            "1:2:4294967296",
            "1:2:3:4",
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(ParseCursorError), "{wrong}");
        }
    }
}
