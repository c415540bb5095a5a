//! The states of the market's topics and their `apply`, shared by server and browser. Pure; `apply` enforces the limits again.

pub mod alerts;
pub mod chart;
pub mod decimal;
pub mod quote_book;
