//! The devices' pages: all of them at a glance, and one of them.

mod alarms;
mod browser;
mod chart;
pub mod clock;
pub mod detail;
mod gauge;
mod history;
mod orders;
pub mod overview;
mod sent;
mod thresholds;
mod tile;
mod values;
mod words;
