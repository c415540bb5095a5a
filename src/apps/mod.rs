//! The list of applications and their browser halves. The list of their server halves is [`Apps`](server::Apps).

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

use crate::ui::layout::{NavigationEntry, SkipLink};

/// The browser half of an application.
pub struct App {
    /// The route of its page.
    pub page: fn() -> AnyNestedRoute,
    pub navigation: Option<NavigationEntry>,
    pub skip_link: Option<SkipLink>,
    /// A view in the header of every page.
    pub tool: Option<fn() -> AnyView>,
}

/// All applications, in navigation order. The pages of the first and the last are in the main wasm module; the others are loaded
/// lazily.
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

/// The views that applications add to the header of every page.
pub fn tools() -> AnyView {
    APPS.iter()
        .filter_map(|app| app.tool.map(|tool| tool()))
        .collect_view()
        .into_any()
}

/// The path of the server-sent events with unread hints, for pages that are not hydrated yet.
pub const UNREAD_EVENTS_PATH: &str = notifications::wire::UNREAD_EVENTS_PATH;

/// The path of the home page, with which most visits begin. It does not wait for anything that only other pages need.
pub const HOME_PATH: &str = "/";

/// The inline script of the home page, which runs before everything else.
pub const HOME_SCRIPT: &str = echo::PRECONNECT_SCRIPT;

/// The part of the home page that hydrates first.
pub fn home_page_island() -> AnyView {
    echo::island()
}

#[component(transparent)]
pub fn Pages() -> impl leptos_router::MatchNestedRoutes + Clone {
    let pages: Vec<_> = APPS.iter().map(|app| (app.page)()).collect();
    StaticVec::from(pages).into_any_nested_route()
}

/// The route of a page in the main module.
fn page<M, F, V>(path: M, view: F) -> AnyNestedRoute
where
    M: PossibleRouteMatch + Clone + Send + Sync + 'static,
    F: Fn() -> V + Clone + Send + Sync + 'static,
    V: IntoAny + 'static,
{
    NestedRoute::new(path, move || view().into_any()).into_any_nested_route()
}

/// The route of a page that is loaded lazily.
fn lazy_page<P: LazyRoute + Send + Sync>(
    path: impl PossibleRouteMatch + Clone + Send + Sync + 'static,
    mode: SsrMode,
) -> AnyNestedRoute {
    NestedRoute::new(path, Lazy::<P>::new())
        .ssr_mode(mode)
        .into_any_nested_route()
}
