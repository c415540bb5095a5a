//! Notifications: what programs and other applications tell people who may not be looking, and the bell that says so on
//! every page.

pub mod bell;
pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use leptos::prelude::*;
use leptos_router::{LazyRoute, lazy_route};

pub struct NotificationsPage;

#[lazy_route]
impl LazyRoute for NotificationsPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view::page::page()
    }
}
