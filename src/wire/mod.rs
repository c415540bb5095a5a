//! What crosses the network: plain types and the arithmetic of frames, the same on both sides.
//! Knows serde and its two formats, and nothing else: no socket, no HTTP, no signal.

pub mod arrival;
pub mod code;
pub mod codec;
mod command_id;
pub mod cursor;
pub mod fault;
pub mod form;
pub mod frame;
pub mod handshake;
pub mod measure;
pub mod moderation;
pub mod notice;
pub mod number;
pub mod person;
pub mod presence;
pub mod protocol;
pub mod session;
pub mod status;
pub mod summons;
pub mod text;
pub mod topic;
pub mod v1;
pub mod vitals;
pub mod web_link;
