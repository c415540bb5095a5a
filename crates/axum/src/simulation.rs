//! The routes of simulations ([`duplex_hub::simulation`]): a WebSocket each, the same over HTTP for networks that block WebSocket, and
//! a recording.

pub use crate::transport::simulation::routes;
