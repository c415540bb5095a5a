//! The parts of the operator's page: head, dashboard, ban management and sign-in form.

mod bans;
pub mod dashboard;
pub mod head;
mod panel;
pub mod sign_in;
mod table;
