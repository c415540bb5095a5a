//! The end of the node: a signal that everything long-lived watches, and the wait until all of it has ended.
//! Knows no socket and no route.

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use duplex_protocol::session::SessionId;

use crate::{awake, limits};

#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    /// HTTP connections and WebSockets: what has to end before the process may.
    tasks: TaskTracker,
}

impl Shutdown {
    pub fn begin(&self) {
        self.begun.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Ready as soon as the shutdown has begun.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// Cancelled as soon as the shutdown has begun; to cancel it begins no shutdown.
    pub fn token(&self) -> CancellationToken {
        self.begun.child_token()
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until every task has ended, at most `deadline`. Says how many were left then.
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

/// From here on SIGHUP, of a terminal that goes or of an operator, ends nothing. A server with a certificate reads it anew
/// ([`Tls::renew`](crate::listen::https::Tls::renew)); files of tokens are read as they change.
pub fn outlive_hangups() -> std::io::Result<()> {
    // Never SIGHUP's own effect again: the handler stays when the stream of signals goes.
    signal(SignalKind::hangup()).map(drop)
}

/// From now on a write beyond the file size limit of the process (`ulimit -f`) is an error, and not its end by SIGXFSZ.
pub fn outlive_file_size_limit() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    // The handler stays when its receiver goes.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// Ctrl-C, or SIGTERM from a service manager.
pub async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
