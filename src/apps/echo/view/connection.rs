//! The connection's card: its address and state, and the forms that open and close it.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{super::state::EchoState, close_status::CloseStatus, labels};
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

/// The id of the field's address list. The list is outside the island, because each additional element type adds about 1 kB to
/// its wasm.
pub const ADDRESSES: &str = "addresses";

#[component]
pub fn Connection(echo: EchoState) -> impl IntoView {
    view! {
        <Card id="connection" title=text_key!(echo.connection)>
            <StateBadge echo/>
            <OpenForm echo/>
            <CloseForm echo/>
            <Settings echo/>
        </Card>
    }
}

#[component]
fn StateBadge(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let state = echo.socket.state;
    let label = dynamic_text(move || state.with(state_label).1(i18n.get_locale()).to_owned());
    let error = optional_text(move || {
        echo.socket
            .error
            .get()
            .map(|error| labels::error(i18n.get_locale(), &error))
    });
    view! {
        <div class="connection-state" role="status" data-state=dynamic_text(move || state.with(state_label).0.to_owned())>
            <p class="connection-state-label"><span class="dot" aria-hidden="true"></span>{label}</p>
            <CloseStatus echo/>
            <p class="problem">{error}</p>
        </div>
    }
}

/// The state's keyword for the style sheet, and its text for the visitor.
fn state_label(state: &SocketState) -> (&'static str, TextKey) {
    match state {
        SocketState::Connecting => ("connecting", text_key!(echo.state_connecting)),
        SocketState::Open { .. } => ("open", text_key!(echo.state_open)),
        SocketState::Closing => ("closing", text_key!(echo.state_closing)),
        SocketState::Closed(_) | SocketState::Rejected => ("closed", text_key!(echo.state_closed)),
    }
}

#[component]
fn OpenForm(echo: EchoState) -> impl IntoView {
    let connect = move |event: SubmitEvent| {
        event.prevent_default();
        echo.socket.open();
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
                    bind:value=echo.address
                />
            </label>
            <button class="button primary" type="submit">{t!(echo.connect)}</button>
        </form>
    }
}

#[component]
fn CloseForm(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let code = RwSignal::new(code::NORMAL.to_string());
    let reason = RwSignal::new(String::new());
    let close_error = RwSignal::new(None::<SocketError>);
    let can_close = move || {
        echo.socket
            .state
            .with(|state| matches!(state, SocketState::Connecting | SocketState::Open { .. }))
    };
    let disconnect = move |event: SubmitEvent| {
        event.prevent_default();
        // An invalid number is rejected like any other code that a page may not use.
        let code = number::parse_u32(&code.get_untracked()).and_then(|code| u16::try_from(code).ok());
        let code = code.unwrap_or(0);
        close_error.set(echo.socket.close(code, &reason.get_untracked()).err());
    };
    let problem = optional_text(move || close_error.get().map(|error| labels::error(i18n.get_locale(), &error)));
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
fn Settings(echo: EchoState) -> impl IntoView {
    view! {
        <div class="switches" role="group" aria-label=t!(echo.settings)>
            <label class="switch">
                <input type="checkbox" role="switch" name="reconnect" bind:checked=echo.reconnect/>
                <span>{t!(echo.reconnect)}</span>
            </label>
            <label class="switch">
                <input type="checkbox" role="switch" name="greet" bind:checked=echo.greet/>
                <span>{t!(echo.greet)}</span>
            </label>
            <label class="field">
                <span>{t!(echo.protocols)}</span>
                <input
                    name="protocols"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder=t!(echo.protocols_hint)
                    bind:value=echo.protocols
                />
            </label>
        </div>
    }
}
