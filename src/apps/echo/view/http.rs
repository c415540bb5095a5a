//! The echo over plain HTTP: a plain form.

use leptos::prelude::*;

use super::super::wire::{GREETING, HttpEcho};
use crate::ui::{
    card::Card,
    text::{labeled_value, t, text_key},
};

#[component]
pub fn HttpForm() -> impl IntoView {
    // Computed on the server when it renders the form's response, and serialized into the page.
    let echo = SharedValue::new(use_context::<HttpEcho>).into_inner();
    let answer = echo.map(|HttpEcho { text, reply }| {
        view! {
            <dl class="properties" id="http-echo">
                {labeled_value(text_key!(echo.http_said), "said", Signal::stored(text))}
                {labeled_value(text_key!(echo.http_reply), "reply", Signal::stored(reply))}
            </dl>
        }
    });
    view! {
        <Card id="http" title=text_key!(echo.http)>
            <p>{t!(echo.http_text)}</p>
            <form class="row" method="post" action="/">
                <label class="field grow">
                    <span>{t!(echo.message)}</span>
                    <input name="message" autocomplete="off" value=GREETING maxlength="4000"/>
                </label>
                <button class="button" type="submit">{t!(echo.send)}</button>
            </form>
            {answer}
        </Card>
    }
}
