//! Forwards of a log that several nodes use: each delivers those of its own appends, in the order of all.

use std::collections::HashSet;

use tokio::time::sleep;

use super::queues::QueueKey;
use crate::hub::Hub;
use crate::limits;
use duplex_protocol::cursor::Seq;

impl Hub {
    /// Reads the undelivered forwards of a queue from the log, after other nodes appended to its source: earlier ones of other nodes
    /// come first, and those that another node delivered are removed.
    pub(super) async fn verify_queue(&self, name: &QueueKey, followed: Seq) {
        let before = self.outbox().positions(name);
        match self.log_of_topic(&name.from).forwards(Some(&name.from)).await {
            Ok(stored) => self.outbox().lock().verify(name, (&before, followed), stored),
            Err(error) => {
                tracing::debug!(from = %name.from, to = %name.to, "the forwards cannot be read; retrying: {error}");
                self.outbox().pause(name);
                sleep(limits::FORWARD_PAUSE).await;
            }
        }
    }

    /// Delivers the forwards of nodes that died: those that were undelivered a while ago too.
    pub(crate) async fn adopt_forwards(&self) {
        let mut known = HashSet::new();
        loop {
            sleep(limits::FORWARD_ADOPTION).await;
            match self.log().forwards(None).await {
                Ok(stored) => {
                    let keys = stored.iter().map(|forward| forward.key.clone()).collect();
                    let known = std::mem::replace(&mut known, keys);
                    for forward in stored.into_iter().filter(|forward| known.contains(&forward.key)) {
                        let seq = forward.key.seq;
                        self.forward(vec![forward], seq);
                    }
                }
                Err(error) => tracing::debug!("undelivered forwards cannot be read: {error}"),
            }
        }
    }
}
