//! The only list of applications: their modules, navigation, pages and socket endpoints.

pub mod about;
pub mod arena;
pub mod chat;
pub mod compare;
pub mod devices;
pub mod echo;
pub mod market;
pub mod notifications;
#[cfg(feature = "ssr")]
pub mod server;
pub mod status;

use leptos::prelude::*;
use leptos_router::{Lazy, SsrMode, any_nested_route::IntoAnyNestedRoute, components::Route, path};

use crate::ui::{
    frame::{Entry, Skip},
    words::words,
};

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
        path: "/arena",
        name: words!(app.arena),
    },
    Entry {
        path: "/market",
        name: words!(app.market),
    },
    Entry {
        path: "/devices",
        name: words!(app.devices),
    },
    Entry {
        path: "/compare",
        name: words!(compare.nav),
    },
    Entry {
        path: "/status",
        name: words!(app.status),
    },
    Entry {
        path: "/about",
        name: words!(app.about),
    },
];

pub const SKIPS: &[Skip] = &[Skip {
    under: "chat",
    to: "#message-field",
    name: words!(chat.skip),
}];

/// Where a page that is not all alive yet hears that something waits for its visitor.
pub const NEWS: &str = notifications::wire::NEWS;

/// With which most visits begin: it waits for nothing that other pages need.
pub const FIRST_PAGE: &str = "/";

/// Runs in its HTML before anything else.
pub const FIRST_SCRIPT: &str = echo::BEGIN;

/// The part of it that comes to life first.
pub fn early() -> AnyView {
    echo::early()
}

/// What applications put into the head of every page.
#[component]
pub fn Tools() -> impl IntoView {
    view! { <notifications::bell::Bell/> }
}

/// The first two are in the module that every page loads; the others come when they are visited.
#[component(transparent)]
pub fn Pages() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <Route path=path!("/") view=echo::EchoPage/>
        <Route path=path!("/about") view=about::AboutPage/>
        <Route path=path!("/chat/:room?") view={Lazy::<chat::ChatPage>::new()} ssr=SsrMode::Async/>
        <Route path=path!("/arena") view={Lazy::<arena::ArenaPage>::new()} ssr=SsrMode::Async/>
        <Route
            path=path!("/notifications")
            view={Lazy::<notifications::NotificationsPage>::new()}
            ssr=SsrMode::Async
        />
        <Route path=path!("/market/:symbol?") view={Lazy::<market::MarketPage>::new()} ssr=SsrMode::Async/>
        <Route path=path!("/devices/:id?") view={Lazy::<devices::DevicesPage>::new()} ssr=SsrMode::Async/>
        <Route path=path!("/status") view={Lazy::<status::StatusPage>::new()} ssr=SsrMode::Async/>
        <Route path=path!("/compare") view={Lazy::<compare::ComparePage>::new()}/>
    }
    .into_inner()
    .into_any_nested_route()
}
