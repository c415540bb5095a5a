//! Topic hooks: [`use_topic`](use_topic()), and [`Live`] to render a topic's state.

mod live;
pub(crate) mod store;
mod use_topic;

pub use self::live::*;
pub use self::use_topic::{CommandStatus, History, PendingCommand, TopicSource, UseTopic, Visitor, use_topic};
pub use crate::status::TopicStatus;
