//! The arena: a game of many in one world, thirty ticks a second.

pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
pub mod wire;
mod view;
use leptos::prelude::*;
use leptos_router::{LazyRoute, lazy_route};
pub struct ArenaPage;

#[lazy_route]
impl LazyRoute for ArenaPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        ().into_any()
    }
}
