//! Duplex: a real-time web app in one binary. The feature `ssr` builds the server, `hydrate` the browser half.

pub mod app;
pub mod apps;
pub mod i18n;
pub mod lock;
#[cfg(feature = "ssr")]
pub mod server;
#[cfg(feature = "hydrate")]
pub mod start;
pub mod ui;
pub mod wire;
