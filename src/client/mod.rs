//! The browser half of the real-time core: compiled everywhere, acting only from effects and event handlers.
//! Knows the wire; knows no page and no server.

pub mod backoff;
pub mod http;
mod browser_socket;
mod socket_machine;
pub mod use_socket;
