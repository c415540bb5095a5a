//! The opening handshake as the server saw it, and the end as the server saw it.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::session::Session;
use crate::{
    apps::echo::wire::{ECHO_PATH, SOCKET_PATH},
    ui::{
        handshake::{HandshakeRecord, fetch},
        text::{dynamic_view, t},
    },
};
use duplex_leptos::{http::HttpError, socket::SocketState};
use duplex_protocol::handshake::Handshake;

/// None where the server is not ours, or before it answered.
type Record = RwSignal<Option<Result<Handshake, HttpError>>>;

#[component]
pub fn HandshakeFacts(session: Session) -> impl IntoView {
    let record = Record::new(None);
    // Told of an end again, as when another attempt is planned, there is nothing new to ask.
    Effect::new(move |before| {
        let over = session.socket.state.with(|state| match state {
            SocketState::Open { .. } => Some(false),
            SocketState::Closed(_) => Some(true),
            SocketState::Connecting | SocketState::Closing | SocketState::Refused => None,
        });
        if session.socket.state.with(|state| *state == SocketState::Connecting) {
            record.set(None);
        }
        if let Some(over) = over.filter(|_| before != Some(over)) {
            ask(session, record, over, 0);
        }
        over
    });
    let foreign = move || {
        session
            .address
            .with(|address| !matches!(address.as_str(), SOCKET_PATH | ECHO_PATH))
    };
    dynamic_view(move || {
        Some(match record.get() {
            None if foreign() => view! { <p class="hint">{t!(echo.handshake_foreign)}</p> }.into_any(),
            None => view! { <p class="hint waiting">{t!(echo.handshake_waiting)}</p> }.into_any(),
            Some(Err(_)) => view! { <p class="problem">{t!(echo.handshake_failed)}</p> }.into_any(),
            Some(Ok(handshake)) => view! { <HandshakeRecord handshake/> }.into_any(),
        })
    })
}

/// The server's record of this connection, by the trace that this page gave it. Its end is recorded a moment after
/// the browser hears of it, hence the further attempts.
fn ask(session: Session, record: Record, over: bool, attempt: u32) {
    const ATTEMPTS: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(200);
    let Some(trace) = session.trace() else { return };
    spawn_local(async move {
        let answer = fetch(&trace).await;
        if session.trace().as_deref() != Some(trace.as_str()) {
            return;
        }
        let unfinished = over && answer.as_ref().is_ok_and(|handshake| handshake.ended.is_none());
        // A server that is gone says nothing new of a connection that it described before.
        if answer.is_ok() || record.try_with_untracked(Option::is_none) == Some(true) {
            record.try_set(Some(answer));
        }
        if unfinished && attempt < ATTEMPTS {
            set_timeout(move || ask(session, record, over, attempt + 1), PAUSE);
        }
    });
}
