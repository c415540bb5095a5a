//! The browser half of the real-time core: compiled everywhere, acting only from effects and event handlers.
//! Knows the wire; knows no page and no server.

pub mod backoff;
mod browser_socket;
mod driver;
pub mod http;
mod ladder;
mod link;
pub mod live;
mod outbox;
mod socket_machine;
pub mod status;
mod store;
mod subscription;
pub mod tab;
mod transport;
pub mod use_socket;
pub mod use_topic;
