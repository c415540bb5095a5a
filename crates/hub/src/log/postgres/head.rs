//! The head of a topic: its first and last event, and the seq of its snapshot.

use tokio_postgres::Row;

use super::error::Failure;
use super::{checksum, unsigned};
use crate::log::{AnswerCounts, Head, Millis};
use duplex_protocol::cursor::{Checksum, Epoch, Seq};

/// With the snapshot's state, which may be large.
pub(super) const TOPIC: &str = "
    SELECT t.last, t.chain, t.answers, t.refusals, t.forgotten, t.gone,
        (SELECT seq FROM duplex.events AS e WHERE e.topic = t.id ORDER BY seq LIMIT 1), s.seq, s.state
    FROM duplex.topics AS t LEFT JOIN duplex.snapshots AS s ON s.topic = t.id WHERE t.name = $1";

pub(super) const HEAD: &str = "
    SELECT t.last, t.chain, t.answers, t.refusals, t.forgotten, t.gone,
        (SELECT seq FROM duplex.events AS e WHERE e.topic = t.id ORDER BY seq LIMIT 1), s.seq
    FROM duplex.topics AS t LEFT JOIN duplex.snapshots AS s ON s.topic = t.id WHERE t.name = $1";

/// The row of [`TOPIC`] or [`HEAD`].
pub(super) struct TopicHead {
    pub head: Head,
    pub forgotten: Option<Millis>,
    /// The checksum of the newest removed event.
    gone: Option<Checksum>,
    /// The seq of the newest snapshot.
    pub snapshot: Option<Seq>,
}

impl TopicHead {
    pub(super) fn new(row: Option<&Row>, epoch: Epoch) -> Result<Self, Failure> {
        let Some(row) = row else {
            return Ok(Self::empty(epoch));
        };
        let last = unsigned(row.try_get(0)?);
        let optional = |index| row.try_get::<_, Option<i64>>(index);
        Ok(Self {
            head: Head {
                epoch,
                first: optional(6)?.map_or(last + 1, unsigned),
                last,
                checksum: checksum(optional(1)?),
                answers: AnswerCounts {
                    accepted: unsigned(row.try_get(2)?),
                    rejected: unsigned(row.try_get(3)?),
                },
            },
            forgotten: optional(4)?.map(unsigned),
            gone: checksum(optional(5)?),
            snapshot: optional(7)?.map(unsigned),
        })
    }

    /// A topic without a row.
    fn empty(epoch: Epoch) -> Self {
        Self {
            head: Head {
                epoch,
                first: 1,
                last: 0,
                checksum: None,
                answers: AnswerCounts::default(),
            },
            forgotten: None,
            gone: None,
            snapshot: None,
        }
    }

    /// The checksum of the event `seq`, which has the row `event` if it is stored.
    pub(super) fn checksum_at(&self, seq: Seq, event: Option<&Row>) -> Result<Option<Checksum>, Failure> {
        if seq == self.head.last {
            return Ok(self.head.checksum);
        }
        if seq.saturating_add(1) == self.head.first {
            return Ok(self.gone);
        }
        match event {
            Some(event) => Ok(checksum(event.try_get(0)?)),
            None => Ok(None),
        }
    }
}
