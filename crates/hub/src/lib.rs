//! The real-time core of a Duplex app: topics with their deciders, sessions, presence, and the durable log of events.
//!
//! A **topic** is a log of events and its fold, the state. An application implements [`Topic`](duplex_protocol::topic::Topic),
//! which the browser shares, and [`Decider`](decider::Decider), which decides who has access and what a command does. The [`Hub`]
//! runs one task for each topic that is in use: it decides commands, commits their events before it publishes them, and wakes the
//! subscribers. The crate does no network I/O: `duplex-axum` connects it to clients.
//!
//! ```
//! use std::sync::Arc;
//!
//! use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
//! use duplex_hub::log::memory::MemoryLog;
//! use duplex_hub::testing::DeciderHarness;
//! use duplex_hub::{Hub, dyn_topic};
//! use duplex_protocol::codec::Encoding;
//! use duplex_protocol::cursor::{Epoch, Seq};
//! use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};
//! use duplex_protocol::topic::{Topic, TopicName};
//!
//! // model.rs: the same on the server and in the browser.
//! pub struct Tally;
//!
//! impl Topic for Tally {
//!     const KIND: &'static str = "tally";
//!     type Command = u32; // the amount to add
//!     type Event = u32; // the amount that was added
//!     type State = u64;
//!
//!     fn apply(total: &mut u64, _seq: Seq, added: &u32) {
//!         *total = total.saturating_add(u64::from(*added));
//!     }
//! }
//!
//! // server.rs: who has access, and what a command does.
//! impl Decider for Tally {
//!     type ServerCommand = NoCommand;
//!
//!     fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
//!         Ok(Access::Write)
//!     }
//!
//!     fn decide(&self, _context: Context<'_>, _total: &u64, add: u32) -> Result<Vec<u32>, Rejection> {
//!         match add {
//!             1..=10 => Ok(vec![add]),
//!             _ => Err(Rejection::custom("one_to_ten")),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The hub: commands, and the state.
//! let log = Arc::new(MemoryLog::new(Epoch::new(1)));
//! let hub = Hub::new(log.clone(), vec![dyn_topic(Tally)]);
//! let add = async |id, amount| hub.send::<Tally>("one", CommandId::from_bits(id), &amount).await;
//! assert_eq!(add(1, 3).await, Answer::Accepted { seq: 1 });
//! assert_eq!(add(1, 3).await, Answer::Accepted { seq: 1 }, "a resent command counts once");
//! assert_eq!(add(2, 11).await, Answer::Rejected(Rejection::custom("one_to_ten")));
//!
//! let topic = TopicName::of::<Tally>("one")?;
//! let (cursor, state) = hub.open(&topic).await?.state(Encoding::Json).await?;
//! assert_eq!((cursor.seq, state.decode::<u64>(Encoding::Json)?), (1, 3));
//! hub.close().await;
//!
//! // After a restart the state is recovered from the log.
//! let hub = Hub::new(log, vec![dyn_topic(Tally)]);
//! let (_, state) = hub.open(&topic).await?.state(Encoding::Json).await?;
//! assert_eq!(state.decode::<u64>(Encoding::Json)?, 3);
//!
//! // A decider's own tests need no hub.
//! let mut tally = DeciderHarness::new(Tally, "one");
//! assert_eq!(tally.execute(Principal::server(), 4), Ok(1));
//! assert_eq!(tally.state, 4);
//! # Ok(())
//! # }
//! ```
//!
//! | module | content |
//! | --- | --- |
//! | the root | [`Hub`], [`dyn_topic()`], rights, names, background tasks |
//! | [`decider`] | [`Decider`](decider::Decider): the server half of a topic's kind |
//! | [`topic`] | handles, subscriptions and reads of topics |
//! | [`session`] | the protocol state and the reader of one client, for transports |
//! | [`bus`] | what nodes that share a log tell each other |
//! | [`log`] | [`Log`](log::Log): the store of events; in memory, and in a SQLite file |
//! | [`simulation`] | simulations at a fixed tick, without a log |
//! | [`quota`] | quotas and rates of one client |
//! | [`json`] | strict JSON parsing |
//! | [`limits`] | limits that callers of the crate need |
//! | [`testing`] | [`DeciderHarness`](testing::DeciderHarness) |
//!
//! # Features
//!
//! `sqlite` (default): `log::sqlite`, the log in a file.

mod background;
pub mod bus;
mod clock;
mod command;
pub mod decider;
mod hub;
pub mod json;
pub mod limits;
mod lock;
pub mod log;
mod names;
pub mod quota;
mod rights;
mod sender;
pub mod session;
pub mod simulation;
pub mod testing;
pub mod topic;

pub use self::background::{BackgroundTask, TaskFuture};
pub use self::clock::now;
pub use self::command::{CommandError, TopicCommand};
pub use self::hub::{Hub, WriteDenial};
pub use self::log::{Millis, Retention};
pub use self::names::{AnyName, NamePolicy, NameRejection};
pub use self::rights::{Authority, IdPattern, ParseRoleError, RequiredRole, Rights, Role};
pub use self::sender::{Principal, SenderKind, is_reserved};
pub use self::topic::{
    DynTopic, HubStats, ReadBatch, ReadLimit, SubscriptionGuard, TopicHandle, TopicStats, Wake, dyn_topic,
};
