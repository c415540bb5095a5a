//! What crosses the network between a Duplex server and its clients: topic names, cursors, session frames, close codes.
//! Plain types and the arithmetic of frames, the same on both sides: no socket, no HTTP, no runtime.

pub mod code;
pub mod codec;
mod command_id;
pub mod cursor;
pub mod fault;
pub mod frame;
pub mod handshake;
pub mod person;
pub mod presence;
pub mod protocol;
pub mod session;
pub mod topic;
pub mod v1;
