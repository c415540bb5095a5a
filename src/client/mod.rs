//! The browser half of the real-time core: compiled everywhere, acting only from effects and event handlers.
//! Knows the wire; knows no page and no server.

pub mod backoff;
pub mod browser_socket;
pub mod checker;
mod driver;
pub mod http;
pub mod inspect;
mod ladder;
/// Public for the simulation of the whole system, which runs real links against a real server.
pub mod link;
pub mod live;
pub mod operator;
/// Public with [`link`], whose commands it writes.
pub mod outbox;
pub mod permits;
pub mod run_signals;
mod socket_machine;
pub mod stage;
mod stage_plan;
pub mod status;
mod store;
mod subscription;
pub mod tab;
pub mod tap;
mod transport;
pub mod use_socket;
pub mod use_topic;
mod witness;

pub use self::socket_machine::resolve;
