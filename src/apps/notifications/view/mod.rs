//! The page of notifications, and the live part of the bell.

mod browser;
mod desk;
mod follow;
mod held;
mod list;
pub mod live;
pub mod page;
mod permission;
mod row;
mod send;
mod toasts;
mod tools;
mod words;
