//! The opening handshake as the server saw it, and the end as the server saw it.

use leptos::prelude::*;

use super::super::session::Session;
use crate::{
    apps::echo::wire::{ECHO_PATH, SOCKET_PATH},
    ui::{
        card::Card,
        handshake::HandshakeRecord,
        words::{part, say, words},
    },
};

#[component]
pub fn HandshakeCard(session: Session) -> impl IntoView {
    let foreign = move || {
        session
            .address
            .with(|address| !matches!(address.as_str(), SOCKET_PATH | ECHO_PATH))
    };
    let body = part(move || {
        Some(match session.handshake.get() {
            None if foreign() => view! { <p class="hint">{say!(echo.handshake_foreign)}</p> }.into_any(),
            None => view! { <p class="hint">{say!(echo.handshake_waiting)}</p> }.into_any(),
            Some(Err(_)) => view! { <p class="problem">{say!(echo.handshake_failed)}</p> }.into_any(),
            Some(Ok(handshake)) => view! { <HandshakeRecord handshake/> }.into_any(),
        })
    });
    view! { <Card id="handshake" title=words!(echo.handshake)>{body}</Card> }
}
