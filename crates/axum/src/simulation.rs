//! The routes of simulations ([`duplex_hub::simulation`]): a WebSocket for each simulation, the same over HTTP long polling for
//! networks that block WebSocket, and a download of the recording.

pub use crate::transport::simulation::routes;
