//! The card with the permission to show browser notifications while the page is hidden, and a button to request it.

use leptos::{prelude::*, task::spawn_local};

use super::browser::{self, Permission};
use crate::ui::{
    card::Card,
    text::{TextKey, dynamic_view, t, text_key, translate},
};

pub fn permission_card() -> AnyView {
    let state = RwSignal::new(Permission::Unknown);
    Effect::new(move |_| state.set(browser::permission()));
    let request = move |_| {
        spawn_local(async move {
            let answer = browser::request_permission().await;
            state.try_set(answer);
        });
    };
    let status = dynamic_view(move || {
        let text: TextKey = match state.get() {
            Permission::Unknown => return None,
            Permission::Unsupported => text_key!(notifications.permission_unsupported),
            Permission::Prompt => text_key!(notifications.permission_ask),
            Permission::Granted => text_key!(notifications.permission_granted),
            Permission::Denied => text_key!(notifications.permission_denied),
        };
        Some(view! { <p class="permission-state">{translate(text)}</p> }.into_any())
    });
    let button = dynamic_view(move || {
        let can_request = state.get() == Permission::Prompt;
        can_request.then(|| {
            view! { <button type="button" class="button primary" on:click=request>{t!(notifications.permission_button)}</button> }
                .into_any()
        })
    });
    view! {
        <Card id="permission" title=text_key!(notifications.permission) class="script-only">
            <div role="status">{status}</div>
            {button}
        </Card>
    }
    .into_any()
}
