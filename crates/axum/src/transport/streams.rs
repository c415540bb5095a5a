//! Liveness of event streams. A stream goes one way: its client shows that it reads by what it posts, or by asking again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;

use crate::awake::AwakeSleep;
use crate::lock::lock;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::SessionId;

type Key = (PersonId, SessionId);

/// The open streams of a node. A session has several for a moment, when it reconnects.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<HashMap<Key, watch::Sender<()>>>);

/// One open stream.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    key: Key,
    heard: watch::Receiver<()>,
    silence: AwakeSleep,
}

impl Streams {
    /// Opens a stream whose client may post nothing for `limit`.
    pub(crate) fn open(self: &Arc<Self>, person: &PersonId, session: &SessionId, limit: Duration) -> OpenStream {
        let key = (person.clone(), session.clone());
        let heard = self.lock().entry(key.clone()).or_default().subscribe();
        OpenStream {
            streams: Arc::clone(self),
            key,
            heard,
            silence: AwakeSleep::new(limit),
        }
    }

    /// The session's client posted something.
    pub(crate) fn heard(&self, person: &PersonId, session: &SessionId) {
        if let Some(streams) = self.lock().get(&(person.clone(), session.clone())) {
            streams.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<()>>> {
        lock(&self.0)
    }
}

impl OpenStream {
    /// Completes when the client has posted nothing for the limit. Cancel-safe.
    pub(crate) async fn silent(&mut self) {
        loop {
            tokio::select! {
                biased;
                // The sender lives as long as this stream.
                Ok(()) = self.heard.changed() => self.silence.restart(),
                () = &mut self.silence => return,
            }
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        // This stream's receiver is still counted.
        if streams
            .get(&self.key)
            .is_some_and(|streams| streams.receiver_count() <= 1)
        {
            streams.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn who() -> (PersonId, SessionId) {
        (PersonId("a".to_owned()), SessionId("s".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_silent_when_its_session_said_nothing_for_the_limit() {
        let (streams, (person, session)) = (Arc::<Streams>::default(), who());
        let mut stream = streams.open(&person, &session, LIMIT);
        let start = Instant::now();
        let talking = async {
            for _ in 0..3 {
                advance(LIMIT / 2).await;
                streams.heard(&person, &session);
                streams.heard(&person, &SessionId("other".to_owned()));
            }
        };
        tokio::join!(stream.silent(), talking);
        assert_eq!(start.elapsed(), 3 * (LIMIT / 2) + LIMIT);
        drop(stream);
        assert!(streams.lock().is_empty(), "nothing is left of them");
    }
}
