//! The real-time core: topics with their deciders, sessions and presence, and the log that keeps their events.
//! No socket, no HTTP and no application.

mod background;
mod clock;
mod command;
pub mod decider;
mod hub;
pub mod json;
pub mod limits;
pub mod log;
mod names;
mod origin;
pub mod quota;
mod rights;
pub mod session;
pub mod simulation;
pub mod testing;
pub mod topic;

pub use self::background::{BackgroundTask, TaskFuture};
pub use self::clock::now;
pub use self::command::{CommandError, TopicCommand};
pub use self::hub::{Hub, WriteDenied};
pub use self::log::{Millis, Retention};
pub use self::names::{AnyName, NamePolicy, NameRefused};
pub use self::origin::{Origin, Principal, is_reserved};
pub use self::rights::{Authority, IdPattern, Needed, ParseRoleError, Rights, Role};
pub use self::topic::{
    DynTopic, HubStats, ReadBatch, ReadLimit, SubscriptionGuard, TopicHandle, TopicStats, Wake, dyn_topic,
};
