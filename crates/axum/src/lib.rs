//! The server side of a Duplex app's connections, on Axum: sessions over WebSocket, server-sent events and polling, commands by
//! `POST`, ingest for programs; checks of handshakes, hosts and origins; limits on every connection, and an orderly end.

pub mod awake;
pub mod client_addr;
pub mod connection;
pub mod endpoint;
pub mod error;
pub mod forwarded;
pub mod gateway;
pub mod health;
pub mod host;
pub mod identity;
pub mod ingest;
pub mod limits;
pub mod listen;
pub mod origin;
pub mod quota;
pub mod shutdown;
pub mod transport;

pub use self::gateway::{Gateway, Settings};
pub use self::identity::{Caller, Identify, IdentityRequest, Login, LoginEnd};
pub use self::transport::routes;
