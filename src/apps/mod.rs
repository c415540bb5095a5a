//! The list of applications, and what each brings to the pages. Its server half is an
//! [`AppServer`](server::AppServer) of the list in `server.rs`.

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
use leptos::tachys::view::iterators::StaticVec;
use leptos_router::any_nested_route::{AnyNestedRoute, IntoAnyNestedRoute as _};
use leptos_router::{Lazy, LazyRoute, NestedRoute, PossibleRouteMatch, SsrMode};

use crate::ui::frame::{NavigationEntry, SkipLink};

/// What an application brings to the pages.
pub struct App {
    /// Its pages.
    pub page: fn() -> AnyNestedRoute,
    pub navigation: Option<NavigationEntry>,
    pub skip_link: Option<SkipLink>,
    /// What it puts into the head of every page.
    pub tool: Option<fn() -> AnyView>,
}

/// In the order of the navigation. The pages of the first and the last are in the module that every page loads; the others come
/// when they are visited.
const APPS: [App; 9] = [
    echo::APP,
    chat::APP,
    arena::APP,
    market::APP,
    devices::APP,
    compare::APP,
    status::APP,
    notifications::APP,
    about::APP,
];

pub fn navigation() -> Vec<NavigationEntry> {
    APPS.iter().filter_map(|app| app.navigation).collect()
}

pub fn skip_links() -> Vec<SkipLink> {
    APPS.iter().filter_map(|app| app.skip_link).collect()
}

/// What applications put into the head of every page.
pub fn tools() -> AnyView {
    APPS.iter()
        .filter_map(|app| app.tool.map(|tool| tool()))
        .collect_view()
        .into_any()
}

/// Where a page that has not hydrated hears that something unread waits for its visitor.
pub const UNREAD_EVENTS_PATH: &str = notifications::wire::NEWS;

/// With which most visits begin: it waits for nothing that other pages need.
pub const FIRST_PAGE: &str = "/";

/// Runs in its HTML before anything else.
pub const FIRST_SCRIPT: &str = echo::BEGIN;

/// The part of it that hydrates first.
pub fn first_page_island() -> AnyView {
    echo::early()
}

#[component(transparent)]
pub fn Pages() -> impl leptos_router::MatchNestedRoutes + Clone {
    let pages: Vec<_> = APPS.iter().map(|app| (app.page)()).collect();
    StaticVec::from(pages).into_any_nested_route()
}

/// The page of a path.
fn page<M, F, V>(path: M, view: F) -> AnyNestedRoute
where
    M: PossibleRouteMatch + Clone + Send + Sync + 'static,
    F: Fn() -> V + Clone + Send + Sync + 'static,
    V: IntoAny + 'static,
{
    NestedRoute::new(path, move || view().into_any()).into_any_nested_route()
}

/// The page of a path, of a part of the module that comes when it is visited.
fn lazy_page<P: LazyRoute + Send + Sync>(
    path: impl PossibleRouteMatch + Clone + Send + Sync + 'static,
    mode: SsrMode,
) -> AnyNestedRoute {
    NestedRoute::new(path, Lazy::<P>::new())
        .ssr_mode(mode)
        .into_any_nested_route()
}
