//! The connection: where to, its state, opening and closing it.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{super::session::Session, ending::Ending, words};
use crate::{
    i18n::*,
    ui::{
        card::Card,
        text::{TextKey, dynamic_text, optional_text, t, text_key},
    },
    wire::number,
};
use duplex_leptos::socket::{SocketError, SocketState};
use duplex_protocol::code;

/// The list of addresses that the field offers; it stands outside of what comes to life early, to which a kind of element more
/// is a kilobyte more.
pub const ADDRESSES: &str = "addresses";

#[component]
pub fn Connection(session: Session) -> impl IntoView {
    view! {
        <Card id="connection" title=text_key!(echo.connection)>
            <StateBadge session/>
            <OpenForm session/>
            <CloseForm session/>
            <Settings session/>
        </Card>
    }
}

#[component]
fn StateBadge(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let state = session.socket.state;
    let word = dynamic_text(move || state.with(named).1(i18n.get_locale()).to_owned());
    let error = optional_text(move || {
        session
            .socket
            .error
            .get()
            .map(|error| words::error(i18n.get_locale(), &error))
    });
    view! {
        <div class="state" role="status" data-state=dynamic_text(move || state.with(named).0.to_owned())>
            <p class="state-word"><span class="dot" aria-hidden="true"></span>{word}</p>
            <Ending session/>
            <p class="problem">{error}</p>
        </div>
    }
}

/// For the style sheet, and for the visitor.
fn named(state: &SocketState) -> (&'static str, TextKey) {
    match state {
        SocketState::Connecting => ("connecting", text_key!(echo.state_connecting)),
        SocketState::Open { .. } => ("open", text_key!(echo.state_open)),
        SocketState::Closing => ("closing", text_key!(echo.state_closing)),
        SocketState::Closed(_) | SocketState::Refused => ("closed", text_key!(echo.state_closed)),
    }
}

#[component]
fn OpenForm(session: Session) -> impl IntoView {
    let connect = move |event: SubmitEvent| {
        event.prevent_default();
        session.socket.open();
    };
    view! {
        <form class="row" on:submit=connect>
            <label class="field grow">
                <span>{t!(echo.address)}</span>
                <input
                    name="address"
                    list=ADDRESSES
                    autocomplete="off"
                    spellcheck="false"
                    inputmode="url"
                    placeholder=t!(echo.address_hint)
                    bind:value=session.address
                />
            </label>
            <button class="button primary" type="submit">{t!(echo.connect)}</button>
        </form>
    }
}

#[component]
fn CloseForm(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let code = RwSignal::new(code::NORMAL.to_string());
    let reason = RwSignal::new(String::new());
    let refused = RwSignal::new(None::<SocketError>);
    let can_close = move || {
        session
            .socket
            .state
            .with(|state| matches!(state, SocketState::Connecting | SocketState::Open { .. }))
    };
    let disconnect = move |event: SubmitEvent| {
        event.prevent_default();
        // What is no number at all is refused like any other code that a page may not use.
        let code = number::parse_u32(&code.get_untracked()).and_then(|code| u16::try_from(code).ok());
        let code = code.unwrap_or(0);
        refused.set(session.socket.close(code, &reason.get_untracked()).err());
    };
    let problem = optional_text(move || refused.get().map(|error| words::error(i18n.get_locale(), &error)));
    view! {
        <form class="row" on:submit=disconnect>
            <label class="field narrow">
                <span>{t!(echo.code)}</span>
                <input name="code" inputmode="numeric" autocomplete="off" bind:value=code/>
            </label>
            <label class="field grow">
                <span>{t!(echo.reason)}</span>
                <input name="reason" autocomplete="off" bind:value=reason/>
            </label>
            <button class="button" type="submit" disabled=move || !can_close()>{t!(echo.disconnect)}</button>
        </form>
        <p class="problem" role="alert">{problem}</p>
    }
}

#[component]
fn Settings(session: Session) -> impl IntoView {
    view! {
        <div class="switches" role="group" aria-label=t!(echo.settings)>
            <label class="switch">
                <input type="checkbox" role="switch" name="reconnect" bind:checked=session.reconnect/>
                <span>{t!(echo.reconnect)}</span>
            </label>
            <label class="switch">
                <input type="checkbox" role="switch" name="greet" bind:checked=session.greet/>
                <span>{t!(echo.greet)}</span>
            </label>
            <label class="field">
                <span>{t!(echo.protocols)}</span>
                <input
                    name="protocols"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder=t!(echo.protocols_hint)
                    bind:value=session.protocols
                />
            </label>
        </div>
    }
}
