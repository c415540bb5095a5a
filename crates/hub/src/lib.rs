//! The real-time core: topics with their deciders, sessions and presence, and the log that keeps their events.
//! No socket, no HTTP and no application.

pub mod background;
pub mod clock;
mod command;
pub mod decider;
mod hub;
pub mod json;
pub mod limits;
pub mod log;
pub mod names;
mod origin;
pub mod quota;
pub mod rights;
pub mod session;
pub mod simulation;
pub mod testing;
pub mod topic;

pub use self::background::{BackgroundTask, TaskFuture};
pub use self::clock::now;
pub use self::command::{CommandError, TopicCommand};
pub use self::hub::{Hub, WriteDenied};
pub use self::log::Retention;
pub use self::names::NamePolicy;
pub use self::origin::{Origin, Principal, is_reserved};
pub use self::quota::bill::Bill;
pub use self::rights::{Authority, Needed, NotARole, Rights, Role};
pub use self::topic::dyn_topic::{Kind, kind};
pub use self::topic::handle::TopicHandle;
pub use self::topic::read_batch::{Most, Reading};
pub use self::topic::stats::{HubStats, TopicFigures};
pub use self::topic::subscription::Membership;
pub use self::topic::wake::Wake;
