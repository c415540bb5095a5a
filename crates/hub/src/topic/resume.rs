//! Recovers a subscriber from the ring or the log, as the module `recovery` decides.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::encoded_state::Recovered;
use super::handle::{TopicHandle, TopicShared};
use super::recovery::{Recovery, recover};
use super::request::TopicRequest;
use crate::limits;
use crate::lock;
use crate::topic::projection::LoadError;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Denial, ResetReason, Verdict};

impl TopicShared {
    /// Verifies that the log still has the published events up to `shown`.
    pub(crate) async fn verify_tail(&self, shown: Seq) -> Result<(), LoadError> {
        let known = lock::read(&self.ring).checksum(shown);
        let Some(known) = known else { return Ok(()) };
        match self.log.checksum(&self.name, shown).await? {
            Some(stored) if stored != known => Err(LoadError::Diverged),
            _ => Ok(()),
        }
    }
}

impl TopicHandle {
    /// Returns [`Verdict::Resumed`] or [`Verdict::Reset`]. Subscribe first, so that no event is missed.
    pub async fn verdict(&self, cursor: Option<Cursor>, encoding: Encoding) -> Result<Verdict, Denial> {
        Ok(self.recover(cursor, encoding).await?.to_verdict())
    }

    /// Like [`Self::verdict`], without copying the state.
    pub(crate) async fn recover(&self, cursor: Option<Cursor>, encoding: Encoding) -> Result<Recovered, Denial> {
        let (recovery, head) = self.recovery(cursor).await?;
        match recovery {
            _ if self.shared.is_closed() => Err(Denial::Unavailable),
            Recovery::Ring { replayed } | Recovery::Log { replayed } => Ok(Recovered::Resumed { replayed, head }),
            Recovery::Reset(reason) => {
                let state = self.encoded_state(encoding).await?;
                Ok(Recovered::Reset { reason, state })
            }
        }
    }

    /// Waits until the topic has read what other nodes appended before this call.
    async fn follow(&self) -> Result<(), Denial> {
        let (reply, followed) = oneshot::channel();
        let request = TopicRequest::Follow { reply };
        let sent = self.shared.requests.send_timeout(request, limits::QUEUE_WAIT).await;
        sent.map_err(|_| Denial::Unavailable)?;
        followed.await.unwrap_or(Err(Denial::Unavailable))
    }

    /// Verifies the cursor's checksum against the ring or, behind the ring, the log.
    async fn recovery(&self, cursor: Option<Cursor>) -> Result<(Recovery, Cursor), Denial> {
        let shared = &self.shared;
        if cursor.is_some_and(|cursor| shared.is_shared && cursor.epoch == shared.epoch && cursor.seq > shared.head()) {
            self.follow().await?;
        }
        let (recovery, head, known) = {
            let oldest = shared.oldest.load(Ordering::Acquire);
            let ring = lock::read(&shared.ring);
            let head = self.cursor_at(ring.head()).with_checksum(ring.checksum(ring.head()));
            let known = cursor.and_then(|cursor| ring.checksum(cursor.seq));
            (recover(cursor, head, oldest, |after| ring.count(after)), head, known)
        };
        let Some((seq, checksum)) = cursor.and_then(|cursor| Some((cursor.seq, cursor.checksum?))) else {
            return Ok((recovery, head));
        };
        if !recovery.is_of_this_log() {
            return Ok((recovery, head));
        }
        let known = match known {
            Some(known) => Some(known),
            None => shared.log.checksum(&shared.name, seq).await.map_err(|error| {
                tracing::warn!(topic = %shared.name, "a checksum cannot be read from the log: {error}");
                Denial::Unavailable
            })?,
        };
        match known {
            Some(known) if known != checksum => Ok((Recovery::Reset(ResetReason::Diverged), head)),
            _ => Ok((recovery, head)),
        }
    }
}
