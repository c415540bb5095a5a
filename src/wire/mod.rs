//! What crosses the network: plain types and the arithmetic of frames, the same on both sides.
//! Knows serde and nothing else: no socket, no HTTP, no signal.

pub mod code;
pub mod frame;
pub mod handshake;
pub mod vitals;
