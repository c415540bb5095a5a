//! The notifications page, and the part of the bell that runs once the app has loaded.

pub mod bell_live;
mod browser;
mod cache;
mod follow;
mod inbox_model;
mod labels;
mod list;
pub mod page;
mod permission;
mod row;
mod send;
mod toasts;
mod toolbar;
