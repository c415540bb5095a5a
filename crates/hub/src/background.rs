//! Work that an application does by itself: a simulation, a connection to somebody else's server. Knows no application.

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

pub type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs from the node's start to its end. It writes to topics by [`Hub::tell`].
pub trait BackgroundTask: Send + Sync + 'static {
    /// For the log.
    fn name(&self) -> &'static str;

    /// Ends soon after `stop`. If it ends before, or panics, it is started again after a pause.
    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture;
}
