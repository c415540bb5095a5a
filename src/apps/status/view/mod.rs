//! The operator's page in parts: its head, the board of charts and tables, and the form for whoever is not known yet.

mod bans;
pub mod board;
pub mod head;
mod panel;
pub mod sign_in;
mod table;
