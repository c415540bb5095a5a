//! The bell on every page: a link, with the number of unread notifications once it follows them, which it does when the page
//! itself has come to life.

use std::sync::Arc;
use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use super::{view::live::live, wire::PATH};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, fill, optional_text},
};

/// Between two looks whether the page has come to life. While it has not, nothing may ask for topics: their states are
/// found in the page in the order in which its components ask for them.
const LOOK: Duration = Duration::from_millis(100);

/// What the live part fills in.
#[derive(Clone, Copy)]
pub struct Bell {
    pub unread: RwSignal<usize>,
    pub toasts: RwSignal<Option<Toasts>>,
}

pub type Toasts = Arc<dyn Fn() -> AnyView + Send + Sync>;

#[component]
pub fn Bell() -> impl IntoView {
    let i18n = use_i18n();
    let bell = Bell {
        unread: RwSignal::new(0),
        toasts: RwSignal::new(None),
    };
    wake(bell);
    let badge = optional_text(move || match bell.unread.get() {
        0 => None,
        count @ 1..100 => Some(count.to_string()),
        _ => Some("99+".to_owned()),
    });
    let name = dynamic_text(move || match bell.unread.get() {
        0 => t_string!(i18n, notifications.title).to_owned(),
        count => fill(t_string!(i18n, notifications.bell), &[("count", &count.to_string())]),
    });
    let toasts = dynamic_view(move || bell.toasts.get().map(|toasts| toasts()));
    view! {
        <a class="bell" href=PATH>
            <svg viewBox="0 0 24 24" aria-hidden="true">
                <path d="M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7M10 20h4"/>
            </svg>
            <span class="hidden">{name}</span>
            <span class="badge" aria-hidden="true">{badge}</span>
        </a>
        {toasts}
    }
    .into_any()
}

fn wake(bell: Bell) {
    let owner = Owner::current();
    Effect::new(move |_| {
        let owner = owner.clone();
        let page = Owner::current_shared_context();
        when(
            move || page.as_ref().is_none_or(|page| !page.during_hydration()),
            move || {
                spawn_local(async move {
                    if let Some(owner) = owner {
                        live(owner, bell).await;
                    }
                });
            },
        );
    });
}

fn when(so: impl Fn() -> bool + 'static, act: impl FnOnce() + 'static) {
    if so() {
        act();
    } else {
        set_timeout(move || when(so, act), LOOK);
    }
}
