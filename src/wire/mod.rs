//! The app's wire types, and text and number parsing shared by server and client.

pub mod civil;
pub mod first_visit;
pub mod form;
pub mod moderation;
pub mod notice;
pub mod number;
pub mod person;
pub mod run_signals;
pub mod status;
pub mod text;
pub mod unread;
pub mod vitals;
pub mod web_link;
