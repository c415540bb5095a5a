//! The node's shutdown: a signal that everything long-lived watches, the wait until all of it has ended, and process signals.

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use duplex_protocol::session::SessionId;

use crate::{awake, limits};

/// The shutdown of a node, and the tasks that it waits for. All clones are the same shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    /// HTTP connections, WebSockets and other tasks that have to end before the process may.
    tasks: TaskTracker,
}

impl Shutdown {
    /// Begins the shutdown: no new connections are accepted, open ones are told to come back later.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Begins the shutdown at SIGINT (Ctrl-C) or SIGTERM, as a service manager sends it. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// If a handler cannot be installed.
    pub fn begin_at_stop_signal(&self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            shutdown.begin();
        });
        Ok(())
    }

    /// Whether the shutdown has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Completes as soon as the shutdown has begun. Cancel-safe.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// A token that is cancelled as soon as the shutdown has begun. Cancelling the token begins no shutdown.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.begun.child_token()
    }

    /// Spawns a task that [`drained`](Self::drained) waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until every spawned task has ended, at most for `deadline`.
    ///
    /// # Errors
    ///
    /// The number of tasks that were left at the deadline.
    pub async fn drained(&self, deadline: Duration) -> Result<(), usize> {
        self.tasks.close();
        let ended = awake::timeout(deadline, self.tasks.wait()).await;
        ended.ok_or_else(|| self.tasks.len())
    }
}

/// How long the client of a session waits before it reconnects to a node that drains: between 0.5 s and 4.5 s, evenly by the
/// session's id, so that clients do not all return in the same moment.
#[must_use]
pub fn reconnect_delay(session: &SessionId) -> Duration {
    let mut hasher = DefaultHasher::new();
    session.hash(&mut hasher);
    let range = u64::try_from(limits::DRAIN_SPREAD.as_millis()).unwrap_or(u64::MAX);
    limits::DRAIN_PAUSE + Duration::from_millis(hasher.finish() % range.max(1))
}

/// Keeps SIGHUP from ending the process, as when its terminal closes. A server with TLS reloads its certificate on SIGHUP
/// ([`Tls::renew`](crate::listen::Tls::renew)). Must be called within a Tokio runtime.
///
/// # Errors
///
/// If the handler cannot be installed.
pub fn ignore_sighup() -> std::io::Result<()> {
    // Tokio's handler stays installed when the stream of signals is dropped.
    signal(SignalKind::hangup()).map(drop)
}

/// Makes a write beyond the process's file size limit (`ulimit -f`) an error instead of its end by SIGXFSZ.
///
/// # Errors
///
/// If the handler cannot be installed.
pub fn ignore_sigxfsz() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    // The handler stays installed when its stream is dropped.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}
