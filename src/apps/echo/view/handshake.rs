//! The server's record of the connection: its opening handshake and its end.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::state::EchoState;
use crate::{
    apps::echo::wire::{ECHO_PATH, SOCKET_PATH},
    ui::{
        handshake::{HandshakeRecord, fetch_handshake},
        text::{dynamic_view, t},
    },
};
use duplex_leptos::{http::HttpError, socket::SocketState};
use duplex_protocol::handshake::Handshake;

/// `None` until the server answers, and always for another server.
type RecordSignal = RwSignal<Option<Result<Handshake, HttpError>>>;

#[component]
pub fn HandshakeCard(echo: EchoState) -> impl IntoView {
    let record = RecordSignal::new(None);
    // A repeated notification of the same end, such as when another attempt is scheduled, does not fetch again.
    Effect::new(move |before| {
        let closed = echo.socket.state.with(|state| match state {
            SocketState::Open { .. } => Some(false),
            SocketState::Closed(_) => Some(true),
            SocketState::Connecting | SocketState::Closing | SocketState::Rejected => None,
        });
        if echo.socket.state.with(|state| *state == SocketState::Connecting) {
            record.set(None);
        }
        if let Some(closed) = closed.filter(|_| before != Some(closed)) {
            fetch_record(echo, record, closed, 0);
        }
        closed
    });
    let is_other_server = move || {
        echo.address
            .with(|address| !matches!(address.as_str(), SOCKET_PATH | ECHO_PATH))
    };
    dynamic_view(move || {
        Some(match record.get() {
            None if is_other_server() => view! { <p class="hint">{t!(echo.handshake_foreign)}</p> }.into_any(),
            None => view! { <p class="hint loading">{t!(echo.handshake_waiting)}</p> }.into_any(),
            Some(Err(_)) => view! { <p class="problem">{t!(echo.handshake_failed)}</p> }.into_any(),
            Some(Ok(handshake)) => view! { <HandshakeRecord handshake/> }.into_any(),
        })
    })
}

/// Fetches the server's record of this connection by its trace id. The server may record the end after the browser notices it, hence
/// the retries.
fn fetch_record(echo: EchoState, record: RecordSignal, closed: bool, attempt: u32) {
    const MAX_ATTEMPTS: u32 = 5;
    const RETRY_DELAY: Duration = Duration::from_millis(200);
    let Some(trace) = echo.trace() else { return };
    spawn_local(async move {
        let answer = fetch_handshake(&trace).await;
        if echo.trace().as_deref() != Some(trace.as_str()) {
            return;
        }
        let incomplete = closed && answer.as_ref().is_ok_and(|handshake| handshake.ended.is_none());
        // Keeps an earlier record if the server is no longer reachable.
        if answer.is_ok() || record.try_with_untracked(Option::is_none) == Some(true) {
            record.try_set(Some(answer));
        }
        if incomplete && attempt < MAX_ATTEMPTS {
            set_timeout(move || fetch_record(echo, record, closed, attempt + 1), RETRY_DELAY);
        }
    });
}
