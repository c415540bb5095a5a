//! A topic's readers: whom to wake, and the presence that they are shown, no more often than its pause allows.
//! Knows no topic task and no events; its time comes in.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::presence::PresenceSet;
use super::wake::Wake;
use crate::limits;
use crate::lock;
use crate::topic::event_frame::PerEncoding;
use duplex_protocol::codec::Encoding;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::ServerFrame;
use duplex_protocol::topic::TopicName;

#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// Nobody is told who is here.
    hidden: bool,
    /// Who is here; ahead of what is shown.
    set: Mutex<PresenceSet>,
    wakes: Mutex<Wakes>,
    shown: Mutex<Arc<Shown>>,
    /// Of what is shown.
    version: AtomicU64,
    /// Something for the topic's task to look at.
    stirred: Notify,
}

/// A presence as readers get it.
#[derive(Debug, Default)]
struct Shown {
    version: u64,
    presence: Presence,
    /// Encoded when a reader first wants it so.
    frames: PerEncoding<OnceLock<Bytes>>,
}

/// When a presence was last shown, and which.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    shown: u64,
    next: Option<Instant>,
}

impl Crowd {
    pub(crate) fn new(shown: bool) -> Self {
        Self {
            hidden: !shown,
            ..Self::default()
        }
    }

    pub(crate) fn set(&self) -> MutexGuard<'_, PresenceSet> {
        lock::lock(&self.set)
    }

    pub(crate) fn add_wake(&self, wake: Arc<Wake>) -> usize {
        lock::lock(&self.wakes).add(wake)
    }

    pub(crate) fn remove_wake(&self, place: usize) {
        lock::lock(&self.wakes).remove(place);
    }

    pub(crate) fn wake_all(&self) {
        lock::lock(&self.wakes)
            .places
            .iter()
            .flatten()
            .for_each(|wake| wake.wake());
    }

    /// Has the topic's task look at its readers.
    pub(crate) fn stir(&self) {
        self.stirred.notify_one();
    }

    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// 0 is nobody.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    pub(crate) fn frame(&self, topic: &TopicName, encoding: Encoding) -> (u64, Bytes) {
        let shown = Arc::clone(&lock::lock(&self.shown));
        let frame = shown.frames.get(encoding).get_or_init(|| {
            let frame = ServerFrame::Presence {
                topic: topic.clone(),
                presence: shown.presence.clone(),
            };
            let encoded = encoding.encode(&frame);
            encoded
                .inspect_err(|error| tracing::error!(%topic, "a presence has no frame: {error}"))
                .unwrap_or_default()
                .into()
        });
        (shown.version, frame.clone())
    }

    /// Ends what has run out and shows what changed, if it is time. Returns when to tend next, if nothing stirs before.
    pub(crate) fn tend(&self, pace: &mut Pace, now: Instant) -> Option<Instant> {
        let (presence, alarm, pause) = {
            let mut set = self.set();
            // What is long over was not looked at when it ended: nothing was.
            if let Some(due) = set.alarm()
                && now >= due + limits::CLOCK_GAP
            {
                set.postpone(now.saturating_duration_since(due) + limits::RESUME_GRACE);
            }
            set.expire(now);
            if set.version() == pace.shown || self.hidden {
                return set.alarm();
            }
            if let Some(next) = pace.next.filter(|next| now < *next) {
                return Some(set.alarm().map_or(next, |alarm| alarm.min(next)));
            }
            pace.shown = set.version();
            (set.presence(), set.alarm(), pause(set.session_count()))
        };
        pace.next = Some(now + pause);
        self.show(presence);
        alarm
    }

    fn show(&self, presence: Presence) {
        let mut shown = lock::lock(&self.shown);
        if shown.presence == presence {
            return;
        }
        let version = shown.version + 1;
        *shown = Arc::new(Shown {
            version,
            presence,
            frames: PerEncoding::default(),
        });
        drop(shown);
        self.version.store(version, Relaxed);
        self.wake_all();
    }
}

fn pause(sessions: usize) -> Duration {
    let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
    limits::PRESENCE_PAUSE_EACH
        .saturating_mul(sessions)
        .clamp(limits::PRESENCE_PAUSE, limits::PRESENCE_PAUSE_MOST)
}

/// Wakes by place, so that one leaves without a search.
#[derive(Debug, Default)]
struct Wakes {
    places: Vec<Option<Arc<Wake>>>,
    free: Vec<usize>,
}

impl Wakes {
    fn add(&mut self, wake: Arc<Wake>) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(wake);
                place
            }
            None => {
                self.places.push(Some(wake));
                self.places.len() - 1
            }
        }
    }

    fn remove(&mut self, place: usize) {
        if self.places.get_mut(place).and_then(Option::take).is_some() {
            self.free.push(place);
        }
        if self.free.len() == self.places.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::person::{Person, PersonId};
    use duplex_protocol::session::SessionId;

    fn join(crowd: &Crowd, number: u32) {
        let person = Person {
            id: PersonId(number.to_string()),
            name: String::new(),
        };
        crowd.set().join(&SessionId(number.to_string()), person, None);
    }

    #[test]
    fn of_a_hidden_crowd_nobody_is_told() {
        let (crowd, mut pace, start) = (Crowd::new(false), Pace::default(), Instant::now());
        join(&crowd, 1);
        assert_eq!(crowd.tend(&mut pace, start), None);
        assert_eq!((crowd.version(), crowd.set().session_count()), (0, 1));
    }

    #[test]
    fn many_joins_are_shown_as_few_presences() {
        let (crowd, mut pace, start) = (Crowd::default(), Pace::default(), Instant::now());
        for number in 0..1000 {
            join(&crowd, number);
            crowd.tend(&mut pace, start + Duration::from_millis(number.into()));
        }
        let version = crowd.version();
        assert!((2..=10).contains(&version), "{version} presences");
        let next = crowd.tend(&mut pace, start + Duration::from_secs(1)).unwrap();
        crowd.tend(&mut pace, next);
        let (_, frame) = crowd.frame(&"chat/lobby".parse().unwrap(), Encoding::Json);
        let frame: ServerFrame = Encoding::Json.decode(&frame).unwrap();
        let ServerFrame::Presence { presence, .. } = frame else {
            panic!("{frame:?}")
        };
        assert_eq!(presence.session_count, 1000);
        assert_eq!(crowd.tend(&mut pace, next), None, "nothing is left to show");
    }

    #[test]
    fn the_pause_grows_with_the_crowd() {
        assert_eq!(pause(1), limits::PRESENCE_PAUSE);
        assert_eq!(pause(1000), Duration::from_secs(1));
        assert_eq!(pause(usize::MAX), limits::PRESENCE_PAUSE_MOST);
    }

    #[test]
    fn a_presence_is_encoded_once_and_only_if_somebody_reads_it() {
        let (crowd, mut pace) = (Crowd::default(), Pace::default());
        let topic = "chat/lobby".parse().unwrap();
        join(&crowd, 1);
        crowd.tend(&mut pace, Instant::now());
        assert!(lock::lock(&crowd.shown).frames.get(Encoding::Json).get().is_none());
        let first = crowd.frame(&topic, Encoding::Json).1;
        assert_eq!(first.as_ptr(), crowd.frame(&topic, Encoding::Json).1.as_ptr());
        assert!(lock::lock(&crowd.shown).frames.get(Encoding::Postcard).get().is_none());
    }

    #[test]
    fn a_place_is_used_again() {
        use futures_util::FutureExt as _;
        let crowd = Crowd::default();
        let wakes: Vec<_> = (0..3).map(|_| Wake::new()).collect();
        let places: Vec<_> = wakes.iter().map(|wake| crowd.add_wake(Arc::clone(wake))).collect();
        crowd.remove_wake(places[1]);
        crowd.remove_wake(places[1]);
        crowd.wake_all();
        let woken: Vec<_> = wakes.iter().map(|wake| wake.woken().now_or_never().is_some()).collect();
        assert_eq!(woken, [true, false, true]);
        assert_eq!(crowd.add_wake(Wake::new()), places[1]);
    }
}
