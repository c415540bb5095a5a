//! A component that shows the server's record of a WebSocket: its opening handshake with all headers, and its close.

use leptos::prelude::*;

use super::{
    close_text::closed_by_text,
    text::{TextKey, dynamic_text, labeled_value, text_key, translate},
};
use crate::i18n::*;
use duplex_leptos::http::{HttpError, get_json};
use duplex_protocol::handshake::{ConnectionEnd, Handshake, without_trace};

/// Fetches the record of the WebSocket with this trace id.
pub async fn fetch_handshake(trace: &str) -> Result<Handshake, HttpError> {
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
    let or_none_text = move |value: Option<String>| {
        dynamic_text(move || {
            value
                .clone()
                .unwrap_or_else(|| t_string!(i18n, handshake.none).to_owned())
        })
    };
    let end = dynamic_text(move || {
        ended
            .as_ref()
            .map_or_else(|| "–".to_owned(), |ended| close_summary(i18n.get_locale(), ended))
    });
    view! {
        <dl class="properties">
            {labeled_value(text_key!(handshake.http_version), "version", Signal::stored(version))}
            {labeled_value(text_key!(handshake.subprotocol), "subprotocol", or_none_text(subprotocol))}
            {labeled_value(text_key!(handshake.peer), "peer", or_none_text(peer))}
            {labeled_value(text_key!(handshake.connection_id), "connection", Signal::stored(connection))}
            {labeled_value(text_key!(handshake.server_ended), "ended", end)}
        </dl>
        <Headers name=text_key!(handshake.request) start_line=request_line headers=request/>
        <Headers name=text_key!(handshake.response) start_line=status_line headers=response/>
    }
}

fn close_summary(locale: Locale, ended: &ConnectionEnd) -> String {
    let code = ended.code.map_or_else(|| "–".to_owned(), |code| code.to_string());
    format!("{} · {code} {}", closed_by_text(ended.by)(locale), ended.reason)
}

#[component]
fn Headers(name: TextKey, start_line: String, headers: Vec<(String, String)>) -> impl IntoView {
    let header_row = |(name, value): (String, String)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    view! {
        <details class="headers" open>
            <summary>{translate(name)}</summary>
            <p class="mono start-line">{start_line}</p>
            <dl class="mono header-fields">{headers.into_iter().map(header_row).collect_view()}</dl>
        </details>
    }
}
