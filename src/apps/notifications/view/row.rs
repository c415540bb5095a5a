//! A row of the list: one notice.

use leptos::{leptos_dom::helpers::request_animation_frame, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::super::wire::{is_link, timestamp};
use super::{
    labels,
    list::{LIST_ID, ListModel, NoticeKey},
};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, fill, t, translate},
    wire::text::isolated,
};

pub fn row(list: ListModel, key: NoticeKey) -> AnyView {
    let i18n = use_i18n();
    let Some(entry) = list.notice(key) else {
        return ().into_any();
    };
    let (source, _) = key;
    let is_read = Memo::new({
        let entry = entry.clone();
        move |_| list.model.is_read(source, &entry)
    });
    let (level, level_name, symbol) = labels::level(entry.notice.level);
    let titles = StoredValue::new(entry.notice.title);
    let title = dynamic_text(move || titles.with_value(|title| labels::localized(i18n.get_locale(), title)));
    let body = entry.notice.body;
    let body = dynamic_text(move || labels::localized(i18n.get_locale(), &body));
    let at = entry.at;
    let time = dynamic_text(move || labels::time(i18n.get_locale(), at, list.use_local_time.get()));
    let link = entry.notice.link.filter(|link| is_link(link));
    let link = link.map(|link| link_view(list, key, link, title));
    let unread = dynamic_view(move || {
        (!is_read.get()).then(|| view! { <span class="notice-unread">{t!(notifications.unread)}</span> }.into_any())
    });
    let button = dynamic_view(move || (!is_read.get()).then(|| read_button(list, key, title)));
    view! {
        <li class="notice" id=row_id(key) tabindex="-1" data-level=level data-source=source data-read=dynamic_text(move || is_read.get().to_string())>
            <span class="notice-symbol" aria-hidden="true">{symbol}</span>
            <div class="notice-content">
                <h2 class="notice-title" dir="auto">{title}</h2>
                <p class="notice-body" dir="auto">{body}</p>
                <p class="notice-meta">
                    {unread}
                    <span class="notice-level">{translate(level_name)}</span>
                    <span>{translate(labels::source(source))}</span>
                    <time datetime=timestamp::to_rfc3339(at)>{time}</time>
                </p>
            </div>
            <div class="notice-actions">{link}{button}</div>
        </li>
    }
    .into_any()
}

fn row_id((source, seq): NoticeKey) -> String {
    format!("{source}-{seq}")
}

/// The button that opens the notice's link.
fn link_view(list: ListModel, (source, seq): NoticeKey, link: String, title: Signal<String>) -> AnyView {
    let i18n = use_i18n();
    let (target, rel) = labels::link_attributes(&link);
    let name = dynamic_text(move || {
        title.with(|title| fill(t_string!(i18n, notifications.open_of), &[("title", &isolated(title))]))
    });
    view! {
        <a
            class="button small"
            href=link
            aria-label=name
            target=target
            rel=rel
            on:click=move |_| list.model.mark_read(source, seq)
        >
            {t!(notifications.open)}
        </a>
    }
    .into_any()
}

fn read_button(list: ListModel, key: NoticeKey, title: Signal<String>) -> AnyView {
    let i18n = use_i18n();
    let name = dynamic_text(move || {
        title.with(|title| fill(t_string!(i18n, notifications.read_of), &[("title", &isolated(title))]))
    });
    let on_click = move |_| {
        list.model.mark_read(key.0, key.1);
        // The button disappears, and its row if filtered: move the focus to the row or the list.
        request_animation_frame(move || {
            if !focus(&row_id(key)) {
                focus(LIST_ID);
            }
        });
    };
    view! {
        <button type="button" class="button small script-only" data-action="mark-read" aria-label=name on:click=on_click>
            {t!(notifications.read)}
        </button>
    }
    .into_any()
}

fn focus(id: &str) -> bool {
    let element = document().get_element_by_id(id);
    let element = element.and_then(|element| element.dyn_into::<HtmlElement>().ok());
    element.is_some_and(|element| element.focus().is_ok())
}
