//! The only list of applications: their modules, navigation, pages and socket endpoints.

pub mod about;
pub mod chat;
pub mod echo;
#[cfg(feature = "ssr")]
pub mod server;

use leptos::prelude::*;
use leptos_router::{MatchNestedRoutes, SsrMode, any_nested_route::IntoAnyNestedRoute, components::Route, path};

use crate::ui::{frame::Entry, words::words};

pub const NAVIGATION: &[Entry] = &[
    Entry {
        path: "/",
        name: words!(app.echo),
    },
    Entry {
        path: "/chat",
        name: words!(app.chat),
    },
    Entry {
        path: "/about",
        name: words!(app.about),
    },
];

#[component(transparent)]
pub fn Pages() -> impl MatchNestedRoutes + Clone {
    view! {
        <Route path=path!("/") view=echo::EchoPage/>
        <Route path=path!("/chat/:room?") view=chat::ChatPage ssr=SsrMode::Async/>
        <Route path=path!("/about") view=about::AboutPage/>
    }
    .into_inner()
    .into_any_nested_route()
}
