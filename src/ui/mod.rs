//! Components that every page shares, and how numbers are written. Knows no application's words.

pub mod calendar;
pub mod card;
pub mod chart;
pub mod closing;
pub mod content;
pub mod download;
pub mod early;
pub mod first_page;
pub mod format;
pub mod frame;
pub mod handshake;
pub mod inspector;
pub mod lazy;
pub mod link_status;
pub mod missing;
pub mod moderation;
pub mod names;
pub mod number_field;
pub mod preferences;
pub mod raw_text;
pub mod sight;
pub mod standing;
pub mod virtual_list;
pub mod vitals;
pub mod words;
