//! Sessions of operators who signed in with a browser. The cookie holds a random id; the server stores its hash in memory only, so
//! operators sign in again after a restart.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::secret::{Secret, SecretHash};
use crate::lock::lock;
use crate::server::limits;

pub struct OperatorSessions {
    sessions: Mutex<Vec<Session>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Session {
    id: SecretHash,
    /// The id of the token that opened it; the session ends with the token.
    token: Option<String>,
    created_at: Instant,
    last_used: Instant,
}

impl Session {
    fn expires_at(&self) -> Instant {
        (self.last_used + limits::SESSION_IDLE).min(self.created_at + limits::SESSION_LIFETIME)
    }
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    pub token: Option<String>,
    pub ends_in: Duration,
}

impl OperatorSessions {
    pub fn new(changes: watch::Sender<u64>) -> Self {
        Self {
            sessions: Mutex::default(),
            changes,
        }
    }

    /// Opens a session and returns the value of its cookie. At the limit, evicts the session with the longest idle time.
    pub fn create(&self, token: Option<String>) -> Secret {
        let (secret, now) = (Secret::random(), Instant::now());
        let mut sessions = self.lock();
        sessions.retain(|session| session.expires_at() > now);
        if sessions.len() >= limits::OPERATOR_SESSIONS
            && let Some(idlest) = (0..sessions.len()).min_by_key(|at| sessions[*at].last_used)
        {
            sessions.swap_remove(idlest);
        }
        sessions.push(Session {
            id: secret.hash(),
            token,
            created_at: now,
            last_used: now,
        });
        drop(sessions);
        self.notify();
        secret
    }

    /// Looks up the session of a request, and restarts its idle time.
    pub fn touch(&self, id: SecretHash) -> Option<OpenSession> {
        let now = Instant::now();
        let mut sessions = self.lock();
        let session = sessions.iter_mut().find(|session| session.id == id);
        let session = session.filter(|session| session.expires_at() > now)?;
        session.last_used = now;
        Some(OpenSession {
            token: session.token.clone(),
            ends_in: session.expires_at() - now,
        })
    }

    /// Looks up a session without restarting its idle time.
    pub fn get(&self, id: SecretHash) -> Option<OpenSession> {
        let now = Instant::now();
        let sessions = self.lock();
        let session = sessions
            .iter()
            .find(|session| session.id == id && session.expires_at() > now)?;
        Some(OpenSession {
            token: session.token.clone(),
            ends_in: session.expires_at() - now,
        })
    }

    pub fn end(&self, id: SecretHash) {
        self.lock().retain(|session| session.id != id);
        self.notify();
    }

    fn notify(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        lock(&self.sessions)
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
        let id = sessions.create(None).hash();
        for _ in 0..3 {
            advance(11 * HOUR).await;
            assert!(sessions.touch(id).is_some());
        }
        advance(12 * HOUR).await;
        assert_eq!(sessions.touch(id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_in_use_ends_after_its_lifetime() {
        let sessions = sessions();
        let id = sessions.create(None).hash();
        for _ in 0..limits::SESSION_LIFETIME.as_secs() / (10 * 3600) {
            assert!(sessions.touch(id).is_some());
            advance(10 * HOUR).await;
        }
        advance(10 * HOUR).await;
        assert_eq!(sessions.touch(id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn signing_out_ends_one_session_and_notifies() {
        let sessions = sessions();
        let (one, other) = (
            sessions.create(None).hash(),
            sessions.create(Some("t".to_owned())).hash(),
        );
        let changes = sessions.changes.subscribe();
        sessions.end(one);
        assert!(changes.has_changed().unwrap());
        assert_eq!(sessions.get(one), None);
        assert_eq!(sessions.get(other).unwrap().token.as_deref(), Some("t"));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_the_idlest_session_ends() {
        let sessions = sessions();
        let first = sessions.create(None).hash();
        advance(HOUR).await;
        let second = sessions.create(None).hash();
        advance(HOUR).await;
        for _ in 2..limits::OPERATOR_SESSIONS {
            sessions.create(None);
        }
        sessions.touch(first).unwrap();
        sessions.create(None);
        assert!(sessions.get(first).is_some() && sessions.get(second).is_none());
        assert_eq!(sessions.lock().len(), limits::OPERATOR_SESSIONS);
    }
}
