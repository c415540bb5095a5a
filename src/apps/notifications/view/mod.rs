//! The notifications page, and the live part of the bell.

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
