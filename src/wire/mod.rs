//! The app's wire types beside the session protocol, and the parsing of texts and numbers that server and browser share.

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
