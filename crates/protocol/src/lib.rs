//! The wire types of Duplex, shared by servers and clients: topics, cursors, session frames and close codes.
//!
//! The crate depends on no socket, HTTP or async runtime. An application implements [`Topic`](topic::Topic) once, and both sides
//! use it:
//!
//! ```
//! use duplex_protocol::codec::{EncodedValue, Encoding};
//! use duplex_protocol::cursor::Seq;
//! use duplex_protocol::session::{ClientFrame, CommandId};
//! use duplex_protocol::topic::{Topic, TopicName};
//!
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
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A command, as a client sends it.
//! let frame = ClientFrame::Command {
//!     topic: TopicName::of::<Tally>("one")?,
//!     id: CommandId::from_time(1_800_000_000_000, 7),
//!     command: EncodedValue::encode(Encoding::Json, &3_u32)?,
//! };
//! let bytes = Encoding::Json.encode(&frame)?;
//! assert_eq!(
//!     String::from_utf8(bytes.clone())?,
//!     r#"{"command":{"topic":"tally/one","id":"01a3185c500070008000000000000007","command":3}}"#
//! );
//!
//! // The server decodes the frame; the topic decodes its command.
//! let ClientFrame::Command { topic, command, .. } = Encoding::Json.decode(&bytes)? else { unreachable!() };
//! assert_eq!(topic.kind(), Tally::KIND);
//! assert_eq!(command.decode::<<Tally as Topic>::Command>(Encoding::Json)?, 3);
//!
//! // Both sides fold the command's event into the state.
//! let mut total = 0;
//! Tally::apply(&mut total, 1, &3);
//! assert_eq!(total, 3);
//! # Ok(())
//! # }
//! ```
//!
//! | module | content |
//! | --- | --- |
//! | [`topic`] | [`Topic`](topic::Topic), names of topics, delivery |
//! | [`cursor`] | a reader's position in a topic's log: epoch, seq, checksum |
//! | [`session`] | the frames between client and server; how to write a client in another language |
//! | [`subprotocol`] | the subprotocols: versions and encodings |
//! | [`codec`] | JSON and postcard |
//! | [`presence`], [`person`] | the subscribers of a topic |
//! | [`code`] | close codes |
//! | [`frame`] | sizes and headers of WebSocket frames |
//! | [`handshake`] | the record of a connection, for an inspector |
//! | [`fault`] | fault injection |

mod answer;
pub mod code;
pub mod codec;
mod command_id;
pub mod cursor;
pub mod fault;
pub mod frame;
pub mod handshake;
pub mod person;
pub mod presence;
pub mod session;
pub mod subprotocol;
pub mod topic;
mod v1;
