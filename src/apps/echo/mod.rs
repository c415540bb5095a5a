//! The echo page, a port of a tutorial's React `useEffect` WebSocket example and its API route. Opens one socket on mount, closes
//! it on cleanup, and shows every message and event.

pub mod hex;
pub mod journal;
pub mod round_trips;
#[cfg(feature = "ssr")]
pub mod server;
mod state;
mod view;
pub mod wire;

use crate::ui::layout::NavigationEntry;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::path;

use self::{
    state::EchoState,
    view::{
        composer::Composer,
        connection::{ADDRESSES, Connection},
        http::HttpForm,
        lazy::LazyCardKind,
    },
    wire::{ECHO_PATH, SOCKET_PATH},
};
use crate::ui::{
    card::LazyCard,
    home_page,
    island::Island,
    text::{page_title, t, text_key},
};

/// The script in the page's HTML that opens the socket before the wasm module is loaded, with a trace id in the format of
/// `state.rs`; `EchoState` then attaches to the socket.
pub const PRECONNECT_SCRIPT: &str = include_str!("preconnect.js");

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
        <div class="page-header">
            <h1>{t!(echo.title)}</h1>
            <p class="lede">{t!(echo.lede)}</p>
            <noscript inner_html=t!(echo.no_script)></noscript>
        </div>
        <div class="grid">
            <Island view=island/>
            <HttpForm/>
        </div>
        <datalist id=ADDRESSES>
            <option value=SOCKET_PATH></option>
            <option value=ECHO_PATH></option>
        </datalist>
    }
}

/// The island that hydrates first: the socket and its controls. The other cards load when they become visible.
pub fn island() -> AnyView {
    let echo = EchoState::new();
    view! {
        <Connection echo/>
        <Composer echo/>
        <LazyCard
            id="journal"
            class="wide"
            title=text_key!(echo.journal)
            content=LazyCardKind::Journal.content(echo)
        />
        <LazyCard
            id="round-trip"
            title=text_key!(echo.round_trip)
            content=LazyCardKind::RoundTrip.content(echo)
        />
        <LazyCard
            id="handshake"
            title=text_key!(echo.handshake)
            content=LazyCardKind::Handshake.content(echo)
        />
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::handshake::TRACE_PARAMETER;

    #[test]
    fn the_preconnect_script_opens_the_socket_that_the_page_adopts() {
        assert!(
            PRECONNECT_SCRIPT.contains(&format!("{SOCKET_PATH}?{TRACE_PARAMETER}=${{trace}}`")),
            "{PRECONNECT_SCRIPT}"
        );
    }
}
