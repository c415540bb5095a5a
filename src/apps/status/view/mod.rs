//! The parts of the status page: header, dashboard, ban management and sign-in form.

mod bans;
pub mod dashboard;
pub mod head;
mod panel;
pub mod sign_in;
mod table;
