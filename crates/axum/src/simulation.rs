//! The routes of simulations ([`duplex_hub::simulation`]): a WebSocket for each simulation, the same over HTTP for networks that block
//! WebSocket, and a recording.

pub use crate::transport::simulation::routes;
