//! Operators who signed in with a browser. The cookie holds a random id; the server keeps its hash, in memory: after a restart
//! an operator signs in again. Knows no HTTP.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::secret::{Secret, SecretHash};
use crate::lock::lock;
use crate::server::limits;

pub struct OperatorSessions {
    open: Mutex<Vec<Session>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Session {
    id: SecretHash,
    /// Of the token that opened it: it ends with that one.
    token: Option<String>,
    began: Instant,
    used: Instant,
}

impl Session {
    fn ends(&self) -> Instant {
        (self.used + limits::SESSION_IDLE).min(self.began + limits::SESSION_LIFE)
    }
}

/// What is known of an open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    pub token: Option<String>,
    pub ends_in: Duration,
}

impl OperatorSessions {
    pub fn new(changes: watch::Sender<u64>) -> Self {
        Self {
            open: Mutex::default(),
            changes,
        }
    }

    /// What the cookie holds. With as many sessions as there may be, the one that was not used for the longest time ends.
    pub fn begin(&self, token: Option<String>) -> Secret {
        let (secret, now) = (Secret::random(), Instant::now());
        let mut open = self.open();
        open.retain(|session| session.ends() > now);
        if open.len() >= limits::OPERATOR_SESSIONS
            && let Some(idlest) = (0..open.len()).min_by_key(|at| open[*at].used)
        {
            open.swap_remove(idlest);
        }
        open.push(Session {
            id: secret.hash(),
            token,
            began: now,
            used: now,
        });
        drop(open);
        self.notify();
        secret
    }

    /// A request shows it.
    pub fn used(&self, id: SecretHash) -> Option<OpenSession> {
        let now = Instant::now();
        let mut open = self.open();
        let session = open.iter_mut().find(|session| session.id == id);
        let session = session.filter(|session| session.ends() > now)?;
        session.used = now;
        Some(OpenSession {
            token: session.token.clone(),
            ends_in: session.ends() - now,
        })
    }

    /// Looks without using it.
    pub fn get(&self, id: SecretHash) -> Option<OpenSession> {
        let now = Instant::now();
        let open = self.open();
        let session = open.iter().find(|session| session.id == id && session.ends() > now)?;
        Some(OpenSession {
            token: session.token.clone(),
            ends_in: session.ends() - now,
        })
    }

    pub fn end(&self, id: SecretHash) {
        self.open().retain(|session| session.id != id);
        self.notify();
    }

    fn notify(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn open(&self) -> MutexGuard<'_, Vec<Session>> {
        lock(&self.open)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn sessions() -> OperatorSessions {
        OperatorSessions::new(watch::Sender::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_twelve_idle_hours() {
        let sessions = sessions();
        let id = sessions.begin(None).hash();
        for _ in 0..3 {
            advance(11 * HOUR).await;
            assert!(sessions.used(id).is_some());
        }
        advance(12 * HOUR).await;
        assert_eq!(sessions.used(id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_in_use_ends_too_one_day() {
        let sessions = sessions();
        let id = sessions.begin(None).hash();
        for _ in 0..limits::SESSION_LIFE.as_secs() / (10 * 3600) {
            assert!(sessions.used(id).is_some());
            advance(10 * HOUR).await;
        }
        advance(10 * HOUR).await;
        assert_eq!(sessions.used(id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn to_sign_out_ends_one_session_and_tells() {
        let sessions = sessions();
        let (one, other) = (sessions.begin(None).hash(), sessions.begin(Some("t".to_owned())).hash());
        let heard = sessions.changes.subscribe();
        sessions.end(one);
        assert!(heard.has_changed().unwrap());
        assert_eq!(sessions.get(one), None);
        assert_eq!(sessions.get(other).unwrap().token.as_deref(), Some("t"));
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_and_the_idlest_goes() {
        let sessions = sessions();
        let first = sessions.begin(None).hash();
        advance(HOUR).await;
        let second = sessions.begin(None).hash();
        advance(HOUR).await;
        for _ in 2..limits::OPERATOR_SESSIONS {
            sessions.begin(None);
        }
        sessions.used(first).unwrap();
        sessions.begin(None);
        assert!(sessions.get(first).is_some() && sessions.get(second).is_none());
        assert_eq!(sessions.open().len(), limits::OPERATOR_SESSIONS);
    }
}
