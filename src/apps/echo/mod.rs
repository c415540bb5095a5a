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

use leptos::prelude::*;
use leptos_meta::{Meta, Title};

use self::{
    session::Session,
    view::{
        composer::Composer, connection::Connection, handshake::HandshakeCard, http::HttpForm, journal::JournalCard,
        round_trip::RoundTrip,
    },
};
use crate::ui::words::say;

#[component]
pub fn EchoPage() -> impl IntoView {
    let session = Session::start();
    view! {
        <Title text="WebSocket 테스트"/>
        <Meta name="description" content=say!(echo.description)/>
        <div class="page-head">
            <h1 lang="ko">"WebSocket 테스트"</h1>
            <p class="lede">{say!(echo.lede)}</p>
            <noscript inner_html=say!(echo.no_script)></noscript>
        </div>
        <div class="grid">
            <Connection session/>
            <div class="stack">
                <Composer session/>
                <RoundTrip session/>
            </div>
            <JournalCard session/>
            <HandshakeCard session/>
            <HttpForm/>
        </div>
    }
}
