//! The notifications page, and the part of the bell that runs once the app has loaded.

mod browser;
mod cache;
mod follow;
mod inbox_model;
mod list;
pub mod live;
pub mod page;
mod permission;
mod row;
mod send;
mod toasts;
mod toolbar;
mod words;
