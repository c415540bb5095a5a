//! The connection: where to, its state, opening and closing it.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{super::session::Session, ending::Ending, words};
use crate::{
    i18n::*,
    ui::{
        card::Card,
        words::{Words, note, say, text, words},
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
        <Card id="connection" title=words!(echo.connection)>
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
    let word = text(move || state.with(named).1(i18n.get_locale()).to_owned());
    let error = note(move || {
        session
            .socket
            .error
            .get()
            .map(|error| words::error(i18n.get_locale(), &error))
    });
    view! {
        <div class="state" role="status" data-state=text(move || state.with(named).0.to_owned())>
            <p class="state-word"><span class="dot" aria-hidden="true"></span>{word}</p>
            <Ending session/>
            <p class="problem">{error}</p>
        </div>
    }
}

/// For the style sheet, and for the visitor.
fn named(state: &SocketState) -> (&'static str, Words) {
    match state {
        SocketState::Connecting => ("connecting", words!(echo.state_connecting)),
        SocketState::Open { .. } => ("open", words!(echo.state_open)),
        SocketState::Closing => ("closing", words!(echo.state_closing)),
        SocketState::Closed(_) | SocketState::Refused => ("closed", words!(echo.state_closed)),
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
                <span>{say!(echo.address)}</span>
                <input
                    name="address"
                    list=ADDRESSES
                    autocomplete="off"
                    spellcheck="false"
                    inputmode="url"
                    placeholder=say!(echo.address_hint)
                    bind:value=session.address
                />
            </label>
            <button class="button primary" type="submit">{say!(echo.connect)}</button>
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
        let code = number::whole(&code.get_untracked()).and_then(|code| u16::try_from(code).ok());
        let code = code.unwrap_or(0);
        refused.set(session.socket.close(code, &reason.get_untracked()).err());
    };
    let problem = note(move || refused.get().map(|error| words::error(i18n.get_locale(), &error)));
    view! {
        <form class="row" on:submit=disconnect>
            <label class="field narrow">
                <span>{say!(echo.code)}</span>
                <input name="code" inputmode="numeric" autocomplete="off" bind:value=code/>
            </label>
            <label class="field grow">
                <span>{say!(echo.reason)}</span>
                <input name="reason" autocomplete="off" bind:value=reason/>
            </label>
            <button class="button" type="submit" disabled=move || !can_close()>{say!(echo.disconnect)}</button>
        </form>
        <p class="problem" role="alert">{problem}</p>
    }
}

#[component]
fn Settings(session: Session) -> impl IntoView {
    view! {
        <div class="switches" role="group" aria-label=say!(echo.settings)>
            <label class="switch">
                <input type="checkbox" role="switch" name="reconnect" bind:checked=session.reconnect/>
                <span>{say!(echo.reconnect)}</span>
            </label>
            <label class="switch">
                <input type="checkbox" role="switch" name="greet" bind:checked=session.greet/>
                <span>{say!(echo.greet)}</span>
            </label>
            <label class="field">
                <span>{say!(echo.protocols)}</span>
                <input
                    name="protocols"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder=say!(echo.protocols_hint)
                    bind:value=session.protocols
                />
            </label>
        </div>
    }
}
