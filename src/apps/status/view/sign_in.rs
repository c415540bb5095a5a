//! The sign-in form, which takes the operator token. It works without scripts; the response sets an `HttpOnly` cookie.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::i18n::*;
use crate::ui::card::Card;
use crate::ui::text::{optional_text, t, text_key};

pub fn sign_in() -> AnyView {
    let (i18n, query) = (use_i18n(), use_query_map());
    let problem = optional_text(move || {
        let is_rejected = query.with(|query| query.get_str("refused").is_some());
        is_rejected.then(|| td_string!(i18n.get_locale(), status.token_rejected).to_owned())
    });
    view! {
        <div class="status-sign-in">
            <Card id="sign-in" title=text_key!(status.sign_in)>
                <p>{t!(status.sign_in_text)}</p>
                <form method="post" action="/api/operator/sign-in" class="row">
                    <label class="field grow">
                        <span>{t!(status.token)}</span>
                        <input
                            type="password"
                            name="token"
                            required
                            autocomplete="current-password"
                            aria-describedby="sign-in-problem"
                        />
                    </label>
                    <button class="button primary">{t!(status.enter)}</button>
                </form>
                <p class="problem" id="sign-in-problem" role="alert">{problem}</p>
            </Card>
        </div>
    }
    .into_any()
}
