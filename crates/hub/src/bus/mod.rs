//! The bus: what the nodes that share a log tell each other.
//!
//! # Several nodes
//!
//! Any number of nodes may use one log. Correctness is in the log alone; the bus only makes it fast:
//!
//! - **Any node appends.** An append expects the end of the topic's log: its newest event, the checksum up to it, and the number of
//!   answers. If another node appended meanwhile, the log reports a conflict; the topic then reads what it missed and decides its
//!   commands again. So a command that was sent to two nodes has one effect: its answer is in the tail that the second node reads.
//! - **A node follows the topics that it has awake.** After an append a node tells the others *topic T is at seq N*. A node that has
//!   `T` awake reads the events after its own head from the log, applies them, and delivers them as its own. The content of an
//!   event never comes from the bus.
//! - **The bus may lose, delay, repeat and reorder.** Once a second each node asks the log, in one query for all topics, which heads
//!   moved. A topic that starts, and a reader whose cursor is ahead of its topic, make the topic read its tail too.
//! - **Snapshots** of several nodes do not conflict: the log keeps the newest. Retention removes only events that are in a snapshot;
//!   a node that finds a gap in its tail loads the topic again.
//! - **Forwards** are delivered by the node that appended their event, in the order of the events; before a node delivers one, it
//!   reads whether other nodes have earlier ones that are undelivered. Forwards that are undelivered for some time, because their
//!   node died, are delivered by the others. The target answers a forward that arrives twice as a duplicate.
//!
//! - **Presence**: a node tells the others who is present in its topics: changes, and every ten seconds all of its people. A node
//!   that is silent for 35 s has none any more.
//!
//! - **Work for one node**, such as a connection to an exchange: [`Hub::run_on_one_node`](crate::Hub::run_on_one_node) holds a lease in
//!   the log, which another node takes over within 5 s of a death.
//!
//! Kinds that are [ephemeral](crate::decider::Decider::EPHEMERAL) are the node's own and are not followed.
//!
//! One node has no bus. It then sends nothing, asks nothing, and keeps no second state.

mod memory;
mod message;

use futures_util::future::BoxFuture;

pub use self::memory::{BusFaults, MemoryBus, MemoryBusPort};
pub use self::message::NodeId;
pub(crate) use self::message::{Message, decode, encode};

/// The bus could not send. The text is the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bus is unavailable: {0}")]
pub struct BusError(pub String);

/// Carries short texts between nodes, best effort. An implementation reconnects by itself.
pub trait Bus: Send + Sync + 'static {
    /// Sends payloads of at most [`MAX_PAYLOAD`](crate::limits::MAX_BUS_PAYLOAD) bytes to all other nodes, together if the bus can.
    ///
    /// # Errors
    ///
    /// If they were not sent. The caller does not send them again.
    fn send(&self, payloads: Vec<String>) -> BoxFuture<'_, Result<(), BusError>>;

    /// The next payload; pending while the bus is disconnected. A node may receive its own. Cancel safe; supports one receiver.
    fn receive(&self) -> BoxFuture<'_, String>;
}
