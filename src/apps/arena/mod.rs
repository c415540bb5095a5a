//! The arena: a multiplayer game with an authoritative server (30 ticks per second) and client-side prediction.

mod interpolation;
pub mod model;
mod prediction;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::layout::NavigationEntry;
use crate::ui::lazy::lazy_page;
use crate::ui::text::text_key;
use leptos_router::{SsrMode, path};

lazy_page!(ArenaPage, arena, view::page::page);

pub const APP: super::App = super::App {
    page: || super::lazy_page::<ArenaPage>(path!("/arena"), SsrMode::Async),
    navigation: Some(NavigationEntry {
        path: "/arena",
        name: text_key!(app.arena),
    }),
    skip_link: None,
    tool: None,
};
