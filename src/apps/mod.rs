//! The only list of applications: their modules, navigation, pages and socket endpoints.

pub mod about;
pub mod echo;
#[cfg(feature = "ssr")]
pub mod server;

use leptos::prelude::*;
use leptos_router::{Lazy, any_nested_route::IntoAnyNestedRoute, components::Route, path};

use crate::ui::{frame::Entry, words::words};

pub const NAVIGATION: &[Entry] = &[
    Entry {
        path: "/",
        name: words!(app.echo),
    },
    Entry {
        path: "/about",
        name: words!(app.about),
    },
];

#[component(transparent)]
pub fn Pages() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <Route path=path!("/") view=echo::EchoPage/>
        <Route path=path!("/about") view={Lazy::<about::AboutPage>::new()}/>
    }
    .into_inner()
    .into_any_nested_route()
}
