//! The devices' pages: the overview of all devices, and the page of one device.

mod alarms;
mod browser;
mod chart;
pub mod clock;
pub mod detail;
mod form_command;
mod gauge;
mod history;
mod labels;
mod orders;
pub mod overview;
mod thresholds;
mod tile;
mod values;
