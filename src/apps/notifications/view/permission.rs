//! Whether the browser may show notifications of its own while this page is out of sight, and how to change that.

use leptos::{prelude::*, task::spawn_local};

use super::browser::{self, Permission};
use crate::ui::{
    card::Card,
    text::{TextKey, dynamic_view, t, text_key, translate},
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
    let told = dynamic_view(move || {
        let words: TextKey = match state.get() {
            Permission::Unknown => return None,
            Permission::Unsupported => text_key!(notifications.permission_unsupported),
            Permission::Ask => text_key!(notifications.permission_ask),
            Permission::Granted => text_key!(notifications.permission_granted),
            Permission::Denied => text_key!(notifications.permission_denied),
        };
        Some(view! { <p class="permission-state">{translate(words)}</p> }.into_any())
    });
    let button = dynamic_view(move || {
        let wanted = state.get() == Permission::Ask;
        wanted.then(|| {
            view! { <button type="button" class="button primary" on:click=ask>{t!(notifications.permission_button)}</button> }
                .into_any()
        })
    });
    view! {
        <Card id="permission" title=text_key!(notifications.permission) class="script">
            <div role="status">{told}</div>
            {button}
        </Card>
    }
    .into_any()
}
