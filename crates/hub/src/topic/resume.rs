//! How a subscriber that comes to a topic catches up: what the ring and the log know of its cursor, and the answer.
//! Knows no session protocol and no transport.

use std::sync::atomic::Ordering;

use super::handle::{Board, TopicHandle};
use super::recovery::{Recovery, recover};
use super::shared_state::Recovered;
use crate::lock;
use crate::topic::projection::LoadError;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Denied, ResetReason, Verdict};

impl Board {
    /// Whether the log has, up to `shown`, the events that readers were shown.
    pub(crate) async fn still_has(&self, shown: Seq) -> Result<(), LoadError> {
        let known = lock::read(&self.ring).check(shown);
        let Some(known) = known else { return Ok(()) };
        match self.log.check(&self.name, shown).await? {
            Some(kept) if kept != known => Err(LoadError::Diverged),
            _ => Ok(()),
        }
    }
}

impl TopicHandle {
    /// Resumed or Reset. A reader that joins first and then asks misses nothing.
    pub async fn verdict(&self, cursor: Option<Cursor>, encoding: Encoding) -> Result<Verdict, Denied> {
        Ok(self.recover(cursor, encoding).await?.to_verdict())
    }

    /// What [`Self::verdict`] says, with the state shared.
    pub(crate) async fn recover(&self, cursor: Option<Cursor>, encoding: Encoding) -> Result<Recovered, Denied> {
        let (recovery, head) = self.recovery(cursor).await?;
        match recovery {
            _ if self.board.is_over() => Err(Denied::Unavailable),
            Recovery::Ring { replayed } | Recovery::Log { replayed } => Ok(Recovered::Resumed { replayed, head }),
            Recovery::Reset(reason) => {
                let state = self.shared_state(encoding).await?;
                Ok(Recovered::Reset { reason, state })
            }
        }
    }

    /// A cursor's check is compared with the ring's, and behind the ring with the log's.
    async fn recovery(&self, cursor: Option<Cursor>) -> Result<(Recovery, Cursor), Denied> {
        let board = &self.board;
        let (recovery, head, known) = {
            let kept = board.kept.load(Ordering::Acquire);
            let ring = lock::read(&board.ring);
            let head = self.at(ring.head()).with_check(ring.check(ring.head()));
            let known = cursor.and_then(|cursor| ring.check(cursor.seq));
            (recover(cursor, head, kept, |after| ring.count(after)), head, known)
        };
        let Some((seq, check)) = cursor.and_then(|cursor| Some((cursor.seq, cursor.check?))) else {
            return Ok((recovery, head));
        };
        if !recovery.is_of_this_log() {
            return Ok((recovery, head));
        }
        let known = match known {
            Some(known) => Some(known),
            None => board.log.check(&board.name, seq).await.map_err(|error| {
                tracing::warn!(topic = %board.name, "no check from the log: {error}");
                Denied::Unavailable
            })?,
        };
        match known {
            Some(known) if known != check => Ok((Recovery::Reset(ResetReason::Diverged), head)),
            _ => Ok((recovery, head)),
        }
    }
}
