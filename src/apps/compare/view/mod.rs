//! The comparison's cards.

mod chart;
pub mod copy;
pub mod findings;
pub mod results;
pub mod settings;
pub mod stale;
pub mod ways;
mod words;
