//! Background work of an application, such as a simulation or a connection to another server.

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// The future of [`BackgroundTask::run`].
pub type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task that runs from the node's start to its end. It writes to topics with [`Hub::send`].
pub trait BackgroundTask: Send + Sync + 'static {
    /// The task's name in log lines.
    fn name(&self) -> &'static str;

    /// Runs the task. It must end soon after `stop` is cancelled. If it ends or panics before that, the server restarts it after
    /// a pause.
    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture;
}
