//! The arena: a game of many in one world, thirty ticks a second, drawn ahead of the server and put right by it.

pub mod model;
mod past;
mod pilot;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::lazy::lazy_page;

lazy_page!(ArenaPage, arena, view::page::page);
