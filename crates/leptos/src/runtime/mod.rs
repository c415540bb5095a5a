//! Runs the tab's session in a browser: timers, transports and the page's events.

pub mod driver;
pub mod tab;
pub mod transport;
