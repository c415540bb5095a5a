//! The echo page's cards. Each takes the shared [`EchoState`](super::state::EchoState) and is independent of the others.

pub mod close_status;
pub mod composer;
pub mod connection;
pub mod handshake;
pub mod http;
pub mod journal;
mod labels;
pub mod lazy;
pub mod round_trip;
