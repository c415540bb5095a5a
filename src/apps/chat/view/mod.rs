//! The chat's page: the rooms, and the one that is open.

pub mod composer;
mod drafts;
pub mod edit;
mod labels;
pub mod list;
pub mod menu;
mod message_cache;
mod moderation;
pub mod name;
pub mod pending;
pub mod room;
pub mod room_header;
pub mod room_model;
pub mod rooms;
mod roving_tabindex;
pub mod row;
mod row_html;
mod storage;
pub mod visitor;
mod web_lock;
