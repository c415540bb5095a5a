//! The node's shutdown: a signal that long-lived tasks watch, the wait until they have ended, and process signals.

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use duplex_protocol::session::SessionId;

use crate::{limits, suspend_aware};

/// The shutdown of a node, and the tasks that it waits for. All clones are the same shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    /// HTTP connections, WebSockets and other tasks that must end before the process exits.
    tasks: TaskTracker,
}

impl Shutdown {
    /// Begins the shutdown: the node accepts no new connections, and tells clients of open ones when to reconnect.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Begins the shutdown at SIGINT (Ctrl-C) or SIGTERM, which service managers send. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// If a handler cannot be installed.
    pub fn begin_on_signal(&self) -> std::io::Result<()> {
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

    /// A token that is cancelled as soon as the shutdown has begun. Cancelling it does not begin the shutdown.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.begun.child_token()
    }

    /// Spawns a task that [`wait_for_tasks`](Self::wait_for_tasks) waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until every spawned task has ended, at most for `deadline`.
    ///
    /// # Errors
    ///
    /// The number of tasks that still run at the deadline.
    pub async fn wait_for_tasks(&self, deadline: Duration) -> Result<(), usize> {
        self.tasks.close();
        let ended = suspend_aware::timeout(deadline, self.tasks.wait()).await;
        ended.ok_or_else(|| self.tasks.len())
    }
}

/// How long a client waits before it reconnects when its node drains: between 0.5 s and 4.5 s, derived from a hash of the session
/// id, so that clients do not all reconnect at the same moment.
#[must_use]
pub fn reconnect_delay(session: &SessionId) -> Duration {
    let mut hasher = DefaultHasher::new();
    session.hash(&mut hasher);
    let range = u64::try_from(limits::DRAIN_RECONNECT_SPREAD.as_millis()).unwrap_or(u64::MAX);
    limits::DRAIN_RECONNECT_MIN + Duration::from_millis(hasher.finish() % range.max(1))
}

/// Keeps SIGHUP, which a closing terminal sends, from ending the process. A server with TLS reloads its certificate on SIGHUP
/// ([`Tls::reload_on_change`](crate::listen::Tls::reload_on_change)). Must be called within a Tokio runtime.
///
/// # Errors
///
/// If the handler cannot be installed.
pub fn ignore_sighup() -> std::io::Result<()> {
    // Tokio's handler stays installed when the stream of signals is dropped.
    signal(SignalKind::hangup()).map(drop)
}

/// Keeps SIGXFSZ from ending the process: a write beyond the process's file size limit (`ulimit -f`) fails with an error instead.
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
