//! Duplex: a real-time web app in one binary. The server's half is the feature `ssr`, the browser's is `hydrate`.

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
