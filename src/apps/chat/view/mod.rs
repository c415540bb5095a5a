//! The chat's page: the rooms, and the one that is open.

pub mod composer;
mod drafts;
pub mod edit;
pub mod head;
pub mod list;
pub mod menu;
mod moderation;
pub mod name;
pub mod pending;
pub mod room;
pub mod rooms;
mod rove;
pub mod row;
mod storage;
pub mod talk;
pub mod visit;
mod web_lock;
mod words;
