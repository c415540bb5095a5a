//! The arena: a game of many in one world, thirty ticks a second, drawn ahead of the server and put right by it.

pub mod model;
mod past;
mod pilot;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use leptos::prelude::*;
use leptos_router::{LazyRoute, lazy_route};

pub struct ArenaPage;

#[lazy_route]
impl LazyRoute for ArenaPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view::page::page()
    }
}
