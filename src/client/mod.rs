//! The browser half of the real-time core: compiled everywhere, acting only from effects and event handlers.
//! Knows the wire; knows no page and no server.

pub mod backoff;
mod browser_socket;
pub mod http;
pub mod live;
mod socket_machine;
pub mod status;
mod store;
pub mod tab;
pub mod use_socket;
pub mod use_topic;
