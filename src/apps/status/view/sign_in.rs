//! Asks for the server's token: a plain form, which needs no script. The answer is a cookie that no script can read.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::i18n::*;
use crate::ui::card::Card;
use crate::ui::words::{note, say, words};

pub fn sign_in() -> AnyView {
    let (i18n, query) = (use_i18n(), use_query_map());
    let refused = note(move || {
        let refused = query.with(|query| query.get_str("refused").is_some());
        refused.then(|| td_string!(i18n.get_locale(), status.refused).to_owned())
    });
    view! {
        <div class="status-sign-in">
            <Card id="sign-in" title=words!(status.sign_in)>
                <p>{say!(status.sign_in_text)}</p>
                <form method="post" action="/api/operator/sign-in" class="row">
                    <label class="field grow">
                        <span>{say!(status.token)}</span>
                        <input
                            type="password"
                            name="token"
                            required
                            autocomplete="current-password"
                            aria-describedby="sign-in-problem"
                        />
                    </label>
                    <button class="button primary">{say!(status.enter)}</button>
                </form>
                <p class="problem" id="sign-in-problem" role="alert">{refused}</p>
            </Card>
        </div>
    }
    .into_any()
}
