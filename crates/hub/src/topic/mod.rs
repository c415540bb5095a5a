//! Topics: handles, subscriptions, reads and type-erased deciders.

mod batch;
mod dedupe;
pub(crate) mod direct;
#[cfg(test)]
mod diverged_tests;
pub(crate) mod dyn_topic;
pub(crate) mod empty_topic;
pub(crate) mod encoded_state;
mod event_frame;
mod frame;
pub(crate) mod frames;
pub(crate) mod handle;
pub(crate) mod outbox;
pub(crate) mod page;
pub(crate) mod presence;
pub(crate) mod projection;
pub(crate) mod read_batch;
mod recovery;
mod redaction;
pub(crate) mod request;
mod resume;
pub(crate) mod ring;
mod send;
#[cfg(test)]
mod server_command_tests;
pub(crate) mod shared_presence;
mod snapshot;
mod state_error;
pub(crate) mod stats;
mod stored;
pub(crate) mod subscribers;
pub(crate) mod subscription;
pub(crate) mod task;
pub(crate) mod wake;

pub use self::direct::{Block, BlockForm, DirectWriter, EventBatch, Position};
pub use self::dyn_topic::{DecideError, DecidedEvent, DynEvent, DynState, DynTopic, StateError, dyn_topic};
pub use self::frame::{Frame, FrameId};
pub use self::handle::TopicHandle;
pub use self::read_batch::{ReadBatch, ReadLimit};
pub use self::stats::{HubStats, TopicStats};
pub use self::subscription::SubscriptionGuard;
pub use self::wake::Wake;
