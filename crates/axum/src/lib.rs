//! The server side of a Duplex app's connections, on Axum: sessions over WebSocket, server-sent events and polling, commands by
//! `POST`, ingest for programs; checks of handshakes, hosts and origins; limits on every connection, and an orderly end.

mod awake;
pub mod client_addr;
pub mod connection;
pub mod endpoint;
pub mod error;
mod forwarded;
#[cfg(test)]
mod fuzz_tests;
mod gateway;
pub mod guard;
pub mod health;
mod host;
pub mod identity;
pub mod ingest;
pub mod limits;
pub mod listen;
pub mod origin;
pub mod quota;
mod rejection;
pub mod shutdown;
pub mod simulation;
mod sync;
mod transport;
pub mod websocket;

pub use self::gateway::{Gateway, GatewayParts, Settings};
pub use self::transport::routes;
