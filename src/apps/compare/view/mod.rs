//! The cards of the comparison page.

mod chart;
pub mod export;
pub mod findings;
mod labels;
pub mod results;
pub mod settings;
pub mod staleness;
pub mod transports;
