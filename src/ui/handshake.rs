//! A connection as the server saw it: its opening handshake with all headers, and its end.

use leptos::prelude::*;

use super::{
    closing::ended_by,
    words::{Words, fact, spoken, text, words},
};
use crate::i18n::*;
use duplex_leptos::http::{HttpError, get_json};
use duplex_protocol::handshake::{Ended, Handshake, without_trace};

/// The server's record of a WebSocket, by the trace that the page gave it.
pub async fn fetch(trace: &str) -> Result<Handshake, HttpError> {
    get_json(&format!("/api/handshake/{trace}")).await
}

#[component]
pub fn HandshakeRecord(handshake: Handshake) -> impl IntoView {
    let i18n = use_i18n();
    let Handshake {
        connection,
        peer,
        method,
        target,
        version,
        request,
        status,
        response,
        subprotocol,
        ended,
        ..
    } = handshake;
    let request_line = format!("{method} {} {version}", without_trace(&target));
    let status_line = format!("{version} {status}");
    let or_none = move |value: Option<String>| {
        text(move || {
            value
                .clone()
                .unwrap_or_else(|| t_string!(i18n, handshake.none).to_owned())
        })
    };
    let end = text(move || {
        ended
            .as_ref()
            .map_or_else(|| "–".to_owned(), |ended| end(i18n.get_locale(), ended))
    });
    view! {
        <dl class="facts">
            {fact(words!(handshake.http_version), "version", Signal::stored(version))}
            {fact(words!(handshake.subprotocol), "subprotocol", or_none(subprotocol))}
            {fact(words!(handshake.peer), "peer", or_none(peer))}
            {fact(words!(handshake.connection_id), "connection", Signal::stored(connection))}
            {fact(words!(handshake.server_ended), "ended", end)}
        </dl>
        <Headers name=words!(handshake.request) first=request_line headers=request/>
        <Headers name=words!(handshake.response) first=status_line headers=response/>
    }
}

fn end(locale: Locale, ended: &Ended) -> String {
    let code = ended.code.map_or_else(|| "–".to_owned(), |code| code.to_string());
    format!("{} · {code} {}", ended_by(ended.by)(locale), ended.reason)
}

#[component]
fn Headers(name: Words, first: String, headers: Vec<(String, String)>) -> impl IntoView {
    let line = |(name, value): (String, String)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    view! {
        <details class="headers" open>
            <summary>{spoken(name)}</summary>
            <p class="mono first-line">{first}</p>
            <dl class="mono header-lines">{headers.into_iter().map(line).collect_view()}</dl>
        </details>
    }
}
