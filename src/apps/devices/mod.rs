//! Devices.

pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod trail;
pub mod wire;
