//! The same echo over plain HTTP: a form that needs no script.

use leptos::prelude::*;

use super::super::wire::{GREETING, HttpEcho};
use crate::ui::{
    card::Card,
    words::{fact, say, words},
};

#[component]
pub fn HttpForm() -> impl IntoView {
    // The server that answered a form knows its echo; the browser gets it with the page.
    let echo = SharedValue::new(use_context::<HttpEcho>).into_inner();
    let answer = echo.map(|HttpEcho { said, reply }| {
        view! {
            <dl class="facts" id="http-echo">
                {fact(words!(echo.http_said), "said", Signal::stored(said))}
                {fact(words!(echo.http_reply), "reply", Signal::stored(reply))}
            </dl>
        }
    });
    view! {
        <Card id="http" title=words!(echo.http)>
            <p>{say!(echo.http_text)}</p>
            <form class="row" method="post" action="/">
                <label class="field grow">
                    <span>{say!(echo.message)}</span>
                    <input name="message" autocomplete="off" value=GREETING maxlength="4000"/>
                </label>
                <button class="button" type="submit">{say!(echo.send)}</button>
            </form>
            {answer}
        </Card>
    }
}
