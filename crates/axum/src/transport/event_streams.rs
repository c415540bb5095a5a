//! Liveness detection for event streams: a stream is one-way, so only posted frames and reconnects prove that its client is alive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;

use crate::lock::lock;
use crate::suspend_aware::SuspendAwareSleep;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::SessionId;

type Key = (PersonId, SessionId);

/// The open event streams of a node. A session briefly has several when it reconnects.
#[derive(Debug, Default)]
pub(crate) struct EventStreams(Mutex<HashMap<Key, watch::Sender<()>>>);

/// One open stream.
#[derive(Debug)]
pub(crate) struct OpenEventStream {
    streams: Arc<EventStreams>,
    key: Key,
    posts: watch::Receiver<()>,
    silence: SuspendAwareSleep,
}

impl EventStreams {
    /// Registers a stream; it times out when its client posts nothing for `limit`.
    pub(crate) fn open(self: &Arc<Self>, person: &PersonId, session: &SessionId, limit: Duration) -> OpenEventStream {
        let key = (person.clone(), session.clone());
        let posts = self.lock().entry(key.clone()).or_default().subscribe();
        OpenEventStream {
            streams: Arc::clone(self),
            key,
            posts,
            silence: SuspendAwareSleep::new(limit),
        }
    }

    /// Records that the session's client posted a frame.
    pub(crate) fn on_post(&self, person: &PersonId, session: &SessionId) {
        if let Some(posts) = self.lock().get(&(person.clone(), session.clone())) {
            posts.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<()>>> {
        lock(&self.0)
    }
}

impl OpenEventStream {
    /// Completes when the client has posted nothing for the limit. Cancel-safe.
    pub(crate) async fn timed_out(&mut self) {
        loop {
            tokio::select! {
                biased;
                // The sender lives as long as this stream.
                Ok(()) = self.posts.changed() => self.silence.restart(),
                () = &mut self.silence => return,
            }
        }
    }
}

impl Drop for OpenEventStream {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        // This stream's receiver is still counted.
        if streams.get(&self.key).is_some_and(|posts| posts.receiver_count() <= 1) {
            streams.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn key() -> (PersonId, SessionId) {
        (PersonId("a".to_owned()), SessionId("s".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_times_out_when_its_session_posts_nothing_for_the_limit() {
        let (streams, (person, session)) = (Arc::<EventStreams>::default(), key());
        let mut stream = streams.open(&person, &session, LIMIT);
        let start = Instant::now();
        let posting = async {
            for _ in 0..3 {
                advance(LIMIT / 2).await;
                streams.on_post(&person, &session);
                streams.on_post(&person, &SessionId("other".to_owned()));
            }
        };
        tokio::join!(stream.timed_out(), posting);
        assert_eq!(start.elapsed(), 3 * (LIMIT / 2) + LIMIT);
        drop(stream);
        assert!(streams.lock().is_empty(), "the stream is removed");
    }
}
