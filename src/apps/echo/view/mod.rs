//! The echo page's cards. Each takes the shared [`Session`](super::session::Session) and knows no other card.

pub mod composer;
pub mod connection;
pub mod ending;
pub mod handshake;
pub mod http;
pub mod journal;
pub mod later;
pub mod round_trip;
mod words;
