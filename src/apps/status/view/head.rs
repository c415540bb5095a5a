//! The status page's header: title, connection status, and the node's name, version and uptime.

use leptos::prelude::*;

use crate::apps::status::model::Status;
use crate::i18n::*;
use crate::ui::format;
use crate::ui::text::{TextKey, dynamic_text, labeled_value, optional_text, t, text_key};
use duplex_leptos::topic::TopicStatus;

pub fn title() -> AnyView {
    view! {
        <div class="page-header">
            <h1>{t!(status.title)}</h1>
            <p class="lede">{t!(status.lede)}</p>
        </div>
    }
    .into_any()
}

/// The connection status, and the node's name, version and uptime.
pub fn status_bar(state: ReadSignal<Status>, status: Signal<TopicStatus>) -> AnyView {
    let i18n = use_i18n();
    let label = optional_text(move || {
        let key: TextKey = match status.get() {
            TopicStatus::Live | TopicStatus::Resuming => text_key!(status.live),
            TopicStatus::Waiting => text_key!(status.stale),
            TopicStatus::Outdated => text_key!(status.outdated),
            TopicStatus::Loading | TopicStatus::Denied(_) => return None,
        };
        Some(key(i18n.get_locale()).to_owned())
    });
    view! {
        <div class="status-header">
            <p class="dashboard-status script-only" role="status" data-status=dynamic_text(move || status_code(status.get()).to_owned())>
                <span class="dot" aria-hidden="true"></span>
                <span>{label}</span>
            </p>
            {node_facts(state)}
        </div>
    }
    .into_any()
}

/// The `data-status` value, for tests and style sheets.
fn status_code(status: TopicStatus) -> &'static str {
    match status {
        TopicStatus::Loading => "loading",
        TopicStatus::Live => "live",
        TopicStatus::Resuming => "resuming",
        TopicStatus::Waiting => "waiting",
        TopicStatus::Denied(_) => "denied",
        TopicStatus::Outdated => "outdated",
    }
}

fn node_facts(state: ReadSignal<Status>) -> impl IntoView {
    let value = move |field: fn(&Status) -> String| {
        dynamic_text(move || state.with(|state| if state.at == 0 { "–".to_owned() } else { field(state) }))
    };
    let i18n = use_i18n();
    let uptime = dynamic_text(move || {
        state.with(|state| match state.at {
            0 => "–".to_owned(),
            _ => format::duration(i18n.get_locale(), state.detail.uptime_seconds),
        })
    });
    view! {
        <dl class="status-properties">
            {labeled_value(text_key!(status.node), "node", value(|state| state.detail.node.clone()))}
            {labeled_value(text_key!(status.version), "version", value(|state| state.detail.version.clone()))}
            {labeled_value(text_key!(status.uptime), "uptime", uptime)}
        </dl>
    }
}

/// Shown until the subscription is accepted or denied.
pub fn loading() -> AnyView {
    view! { <p class="status-loading" role="status">{t!(status.waiting)}</p> }.into_any()
}
