//! The opening handshake as the server saw it, and the end as the server saw it.

use leptos::prelude::*;

use super::{super::session::Session, words};
use crate::{
    apps::echo::wire::{ECHO_PATH, SOCKET_PATH},
    i18n::*,
    ui::{
        card::Card,
        words::{Words, fact, part, say, spoken, text, words},
    },
    wire::handshake::{Ended, Handshake, without_trace},
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
            Some(Ok(handshake)) => view! { <Record handshake/> }.into_any(),
        })
    });
    view! { <Card id="handshake" title=words!(echo.handshake)>{body}</Card> }
}

#[component]
fn Record(handshake: Handshake) -> impl IntoView {
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
        text(move || value.clone().unwrap_or_else(|| t_string!(i18n, echo.none).to_owned()))
    };
    let end = text(move || {
        ended
            .as_ref()
            .map_or_else(|| "–".to_owned(), |ended| end(i18n.get_locale(), ended))
    });
    view! {
        <dl class="facts">
            {fact(words!(echo.http_version), "version", Signal::stored(version))}
            {fact(words!(echo.subprotocol), "subprotocol", or_none(subprotocol))}
            {fact(words!(echo.peer), "peer", or_none(peer))}
            {fact(words!(echo.connection_id), "connection", Signal::stored(connection))}
            {fact(words!(echo.server_ended), "ended", end)}
        </dl>
        <Headers name=words!(echo.request) first=request_line headers=request/>
        <Headers name=words!(echo.response) first=status_line headers=response/>
    }
}

fn end(locale: Locale, ended: &Ended) -> String {
    let code = ended.code.map_or_else(|| "–".to_owned(), |code| code.to_string());
    format!("{} · {code} {}", words::ended_by(ended.by)(locale), ended.reason)
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
