//! Whether the browser may show notifications of its own while this page is out of sight, and how to change that.

use leptos::{prelude::*, task::spawn_local};

use super::browser::{self, Permission};
use crate::ui::{
    card::Card,
    words::{Words, part, say, spoken, words},
};

pub fn permission() -> AnyView {
    let state = RwSignal::new(Permission::Unknown);
    Effect::new(move |_| state.set(browser::permission()));
    let ask = move |_| {
        spawn_local(async move {
            let answer = browser::ask().await;
            state.try_set(answer);
        });
    };
    let told = part(move || {
        let words: Words = match state.get() {
            Permission::Unknown => return None,
            Permission::Unsupported => words!(notifications.permission_unsupported),
            Permission::Ask => words!(notifications.permission_ask),
            Permission::Granted => words!(notifications.permission_granted),
            Permission::Denied => words!(notifications.permission_denied),
        };
        Some(view! { <p class="permission-state">{spoken(words)}</p> }.into_any())
    });
    let button = part(move || {
        let wanted = state.get() == Permission::Ask;
        wanted.then(|| {
            view! { <button type="button" class="button primary" on:click=ask>{say!(notifications.permission_button)}</button> }
                .into_any()
        })
    });
    view! {
        <Card id="permission" title=words!(notifications.permission) class="script">
            <div role="status">{told}</div>
            {button}
        </Card>
    }
    .into_any()
}
