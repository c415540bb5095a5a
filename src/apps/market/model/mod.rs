//! What follows from what was said about prices: the same on the server and in the browser. Pure; trusts no event.

pub mod alerts;
pub mod chart;
pub mod decimal;
pub mod quote_book;
