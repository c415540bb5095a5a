//! The bell on every page: a link to the notifications page with the unread count. It subscribes to the count after hydration.

use std::sync::Arc;
use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use super::{view::bell_live::run_bell, wire::PAGE_PATH};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, fill, optional_text},
};

/// Interval at which the bell checks whether hydration has finished. It must not subscribe earlier: components match their
/// hydration data by subscription order, and an extra subscription would shift it.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The signals that `view::bell_live` sets once the app runs.
#[derive(Clone, Copy)]
pub struct BellState {
    pub unread_count: RwSignal<usize>,
    pub toasts: RwSignal<Option<ToastsView>>,
}

pub type ToastsView = Arc<dyn Fn() -> AnyView + Send + Sync>;

#[component]
pub fn Bell() -> impl IntoView {
    let i18n = use_i18n();
    let bell = BellState {
        unread_count: RwSignal::new(0),
        toasts: RwSignal::new(None),
    };
    start_after_hydration(bell);
    let badge = optional_text(move || match bell.unread_count.get() {
        0 => None,
        count @ 1..100 => Some(count.to_string()),
        _ => Some("99+".to_owned()),
    });
    let name = dynamic_text(move || match bell.unread_count.get() {
        0 => t_string!(i18n, notifications.title).to_owned(),
        count => fill(t_string!(i18n, notifications.bell), &[("count", &count.to_string())]),
    });
    let toasts = dynamic_view(move || bell.toasts.get().map(|toasts| toasts()));
    view! {
        <a class="bell" href=PAGE_PATH>
            <svg viewBox="0 0 24 24" aria-hidden="true">
                <path d="M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7M10 20h4"/>
            </svg>
            <span class="visually-hidden">{name}</span>
            <span class="badge" aria-hidden="true">{badge}</span>
        </a>
        {toasts}
    }
    .into_any()
}

fn start_after_hydration(bell: BellState) {
    let owner = Owner::current();
    Effect::new(move |_| {
        let owner = owner.clone();
        let shared = Owner::current_shared_context();
        run_when(
            move || shared.as_ref().is_none_or(|shared| !shared.during_hydration()),
            move || {
                spawn_local(async move {
                    if let Some(owner) = owner {
                        run_bell(owner, bell).await;
                    }
                });
            },
        );
    });
}

fn run_when(condition: impl Fn() -> bool + 'static, action: impl FnOnce() + 'static) {
    if condition() {
        action();
    } else {
        set_timeout(move || run_when(condition, action), POLL_INTERVAL);
    }
}
