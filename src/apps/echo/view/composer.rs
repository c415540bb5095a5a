//! The composer: sends text, bytes typed as hex, and files.

use leptos::{
    ev::{Event, KeyboardEvent, SubmitEvent},
    html,
    prelude::*,
    task::spawn_local,
};
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::{
    super::{hex, state::EchoState},
    labels::{self, NotSent},
};
use crate::{
    i18n::*,
    ui::{
        card::Card,
        keys,
        text::{optional_text, t, text_key},
    },
};
use duplex_leptos::socket::Payload;

/// Maximum size of a file that is read, in bytes; a larger one would only fill the browser's send buffer.
const MAX_FILE: u64 = 16 * 1024 * 1024;

#[component]
pub fn Composer(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let problem = RwSignal::new(None::<NotSent>);
    let error_text = optional_text(move || problem.get().map(|reason| labels::not_sent(i18n.get_locale(), &reason)));
    view! {
        <Card id="compose" title=text_key!(echo.compose)>
            <TextForm echo problem/>
            <p class="problem" role="alert">{error_text}</p>
            <div class="row">
                <HexForm echo problem/>
                <FilePicker echo problem/>
            </div>
        </Card>
    }
}

/// Sends a payload; returns false if it could not be sent, so that the input is kept.
fn send(echo: EchoState, problem: RwSignal<Option<NotSent>>, payload: Payload) -> bool {
    let sent = echo.socket.send(payload);
    problem.set(sent.clone().err().map(NotSent::Socket));
    sent.is_ok()
}

#[component]
fn TextForm(echo: EchoState, problem: RwSignal<Option<NotSent>>) -> impl IntoView {
    let typed = RwSignal::new(String::new());
    let submit = move || {
        if send(echo, problem, Payload::Text(typed.get_untracked())) {
            typed.set(String::new());
        }
    };
    let on_key = move |event: KeyboardEvent| {
        if keys::is_submit(&event) {
            event.prevent_default();
            submit();
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        submit();
    };
    view! {
        <form class="row" on:submit=on_submit>
            <label class="field grow">
                <span>{t!(echo.message)}</span>
                <textarea
                    name="message"
                    rows="2"
                    enterkeyhint="send"
                    placeholder=t!(echo.message_hint)
                    on:keydown=on_key
                    bind:value=typed
                ></textarea>
            </label>
            <button class="button primary" type="submit">{t!(echo.send)}</button>
        </form>
    }
}

#[component]
fn HexForm(echo: EchoState, problem: RwSignal<Option<NotSent>>) -> impl IntoView {
    let digits = RwSignal::new(String::new());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        match digits.with_untracked(|digits| hex::decode(digits)) {
            Err(error) => problem.set(Some(NotSent::Hex(error))),
            Ok(bytes) => {
                if send(echo, problem, Payload::Binary(bytes)) {
                    digits.set(String::new());
                }
            }
        }
    };
    view! {
        <form class="row grow" on:submit=submit>
            <label class="field grow">
                <span>{t!(echo.hex)}</span>
                <input
                    name="hex"
                    class="mono"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder=t!(echo.hex_hint)
                    bind:value=digits
                />
            </label>
            <button class="button" type="submit">{t!(echo.send_hex)}</button>
        </form>
    }
}

#[component]
fn FilePicker(echo: EchoState, problem: RwSignal<Option<NotSent>>) -> impl IntoView {
    let picker = NodeRef::<html::Input>::new();
    let picked = move |_: Event| {
        let Some(input) = picker.get_untracked() else { return };
        let Some(file) = input.files().and_then(|files| files.get(0)) else {
            return;
        };
        // Lets the visitor pick the same file again.
        input.set_value("");
        spawn_local(async move {
            match read(&file).await {
                Ok(bytes) => {
                    send(echo, problem, Payload::Binary(bytes));
                }
                Err(reason) => problem.set(Some(reason)),
            }
        });
    };
    view! {
        <label class="button file">
            <span>{t!(echo.file)}</span>
            <input type="file" name="file" node_ref=picker on:change=picked/>
        </label>
    }
}

async fn read(file: &File) -> Result<Vec<u8>, NotSent> {
    let size = file.size() as u64;
    if size > MAX_FILE {
        return Err(NotSent::FileTooLarge { size, limit: MAX_FILE });
    }
    let buffer = JsFuture::from(file.array_buffer())
        .await
        .map_err(|_| NotSent::FileUnreadable)?;
    Ok(js_sys::Uint8Array::new(&buffer).to_vec())
}
