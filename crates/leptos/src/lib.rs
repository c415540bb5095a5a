//! The browser half of the real-time core: compiled everywhere, acting only from effects and event handlers.
//! Knows the wire; knows no page and no server.

pub mod http;
pub mod reconnect;
pub mod runtime;
pub mod session;
pub mod simulation;
pub mod socket;
pub mod status;
pub mod topic;
pub mod trace;
