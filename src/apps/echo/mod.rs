//! The echo page: the article's `useEffect` page and its API route. Opens one socket on mount, closes it on cleanup, and
//! shows everything that passes.

pub mod content;
pub mod model;
pub mod round_trips;
#[cfg(feature = "ssr")]
pub mod server;
mod session;
mod view;
pub mod wire;

use crate::ui::frame::NavigationEntry;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::path;

use self::{
    session::Session,
    view::{
        composer::Composer,
        connection::{ADDRESSES, Connection},
        http::HttpForm,
        later::Later,
    },
    wire::{ECHO_PATH, SOCKET_PATH},
};
use crate::ui::{
    card::LazyCard,
    home_page,
    island::Island,
    text::{page_title, t, text_key},
};

/// In the HTML of the page: begins to open its socket, with a trace as `session.rs` makes them, which takes it over.
pub const BEGIN: &str = include_str!("begin.js");

pub const APP: super::App = super::App {
    page: || super::page(path!("/"), EchoPage),
    navigation: Some(NavigationEntry {
        path: "/",
        name: text_key!(app.echo),
    }),
    skip_link: None,
    tool: None,
};

#[component]
pub fn EchoPage() -> impl IntoView {
    home_page::reload_if_needed();
    view! {
        <Title text=page_title(t!(echo.title))/>
        <Meta name="description" content=t!(echo.description)/>
        <div class="page-head">
            <h1>{t!(echo.title)}</h1>
            <p class="lede">{t!(echo.lede)}</p>
            <noscript inner_html=t!(echo.no_script)></noscript>
        </div>
        <div class="grid">
            <Island view=early/>
            <HttpForm/>
        </div>
        <datalist id=ADDRESSES>
            <option value=SOCKET_PATH></option>
            <option value=ECHO_PATH></option>
        </datalist>
    }
}

/// The socket and what is done with it; what shows more of it comes when it is seen.
pub fn early() -> AnyView {
    let session = Session::start();
    view! {
        <Connection session/>
        <Composer session/>
        <LazyCard
            id="journal"
            class="wide"
            title=text_key!(echo.journal)
            content=Later::Journal.of(session)
        />
        <LazyCard
            id="round-trip"
            title=text_key!(echo.round_trip)
            content=Later::RoundTrip.of(session)
        />
        <LazyCard
            id="handshake"
            title=text_key!(echo.handshake)
            content=Later::Handshake.of(session)
        />
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::handshake::TRACE_PARAMETER;

    #[test]
    fn the_page_begins_with_the_socket_that_the_session_takes_over() {
        assert!(
            BEGIN.contains(&format!("{SOCKET_PATH}?{TRACE_PARAMETER}=${{trace}}`")),
            "{BEGIN}"
        );
    }
}
