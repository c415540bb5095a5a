//! Toasts: new notices, shown for a while in the corner of every page and announced to screen readers. While the page is hidden,
//! the browser also shows a notification, if permitted.

use std::time::Duration;

use leptos::prelude::*;

use super::super::{
    model::NoticeEntry,
    wire::{PAGE_PATH, is_link},
};
use super::{browser, inbox_model::InboxModel, labels};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, fill, t, translate},
    wire::{notice::Level, text::isolated},
};

/// Maximum toasts at a time. The oldest are dropped; their notices remain unread.
const MAX_TOASTS: usize = 4;
/// How long a toast stays. Toasts of level danger stay until closed or read.
const DURATION: Duration = Duration::from_secs(8);
/// The interval at which an expired toast checks again while the visitor's pointer or focus pauses the expiry.
const PAUSE_INTERVAL: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    pub source: &'static str,
    pub entry: NoticeEntry,
}

#[derive(Clone, Copy)]
pub struct Toasts {
    toasts: RwSignal<Vec<Toast>>,
    /// The visitor's pointer or focus is on the toasts.
    is_paused: RwSignal<bool>,
    i18n: LocaleSignal,
}

impl Toasts {
    pub fn new() -> Self {
        Self {
            toasts: RwSignal::new(Vec::new()),
            is_paused: RwSignal::new(false),
            i18n: use_i18n(),
        }
    }

    /// Shows an unread notice as a toast, and as a browser notification if the page is hidden.
    pub fn push(self, model: InboxModel, source: &'static str, entry: Option<NoticeEntry>) {
        let now = super::inbox_model::current_time();
        let Some(entry) = entry.filter(|entry| entry.is_unexpired(now) && !untrack(|| model.is_read(source, entry)))
        else {
            return;
        };
        let toast = Toast { source, entry };
        if document().hidden() {
            self.notify_browser(&toast);
        }
        let (seq, is_sticky) = (toast.entry.seq, toast.entry.notice.level == Level::Danger);
        self.toasts.update(|toasts| {
            toasts.push(toast);
            let excess = toasts.len().saturating_sub(MAX_TOASTS);
            toasts.drain(..excess);
        });
        if !is_sticky {
            set_timeout(move || self.expire(source, seq), DURATION);
        }
    }

    fn notify_browser(self, toast: &Toast) {
        let locale = self.i18n.get_locale_untracked();
        let notice = &toast.entry.notice;
        let link = notice.link.clone().filter(|link| is_link(link));
        browser::notify(
            &labels::localized(locale, &notice.title),
            &labels::localized(locale, &notice.body),
            &toast.tag(),
            link.unwrap_or_else(|| PAGE_PATH.to_owned()),
        );
    }

    fn expire(self, source: &'static str, seq: u64) {
        match self.is_paused.try_get_untracked() {
            None => {}
            Some(true) => set_timeout(move || self.expire(source, seq), PAUSE_INTERVAL),
            Some(false) => self.close(source, seq),
        }
    }

    fn close(self, source: &'static str, seq: u64) {
        self.toasts
            .try_update(|toasts| toasts.retain(|toast| (toast.source, toast.entry.seq) != (source, seq)));
    }

    /// Two live regions: level danger interrupts a screen reader, other levels are announced politely. Both are in the page before
    /// their first toast, because screen readers announce only changes of existing regions.
    pub fn view(self, model: InboxModel) -> AnyView {
        view! {
            <section
                class="toasts"
                aria-label=t!(notifications.toasts)
                on:mouseenter=move |_| self.is_paused.set(true)
                on:mouseleave=move |_| self.is_paused.set(false)
                on:focusin=move |_| self.is_paused.set(true)
                on:focusout=move |_| self.is_paused.set(false)
            >
                <div class="toasts-polite" role="status" aria-live="polite" aria-relevant="additions">{self.list(model, false)}</div>
                <div class="toasts-assertive" role="alert" aria-live="assertive" aria-relevant="additions">{self.list(model, true)}</div>
            </section>
        }
        .into_any()
    }

    fn list(self, model: InboxModel, danger: bool) -> AnyView {
        let visible = Memo::new(move |_| {
            let now = model.now.get();
            self.toasts.with(|toasts| {
                let is_visible = |toast: &&Toast| {
                    let Toast { source, entry } = toast;
                    let has_level = (entry.notice.level == Level::Danger) == danger;
                    // The visitor may have read it in another tab.
                    has_level && entry.is_unexpired(now) && !model.is_read(source, entry)
                };
                toasts.iter().filter(is_visible).cloned().collect::<Vec<_>>()
            })
        });
        view! {
            <For each=move || visible.get() key=Toast::tag let:toast>
                {self.toast(model, toast)}
            </For>
        }
        .into_any()
    }

    fn toast(self, model: InboxModel, toast: Toast) -> AnyView {
        let i18n = self.i18n;
        let Toast { source, entry } = toast;
        let seq = entry.seq;
        let (level, level_name, symbol) = labels::level(entry.notice.level);
        let (titles, bodies) = (entry.notice.title, entry.notice.body);
        let title = dynamic_text(move || labels::localized(i18n.get_locale(), &titles));
        let body = dynamic_text(move || labels::localized(i18n.get_locale(), &bodies));
        let link = entry.notice.link.filter(|link| is_link(link));
        let has_link = link.is_some();
        let link = link.unwrap_or_else(|| PAGE_PATH.to_owned());
        let (target, rel) = labels::link_attributes(&link);
        let close = dynamic_text(move || {
            title.with(|title| fill(t_string!(i18n, notifications.close_of), &[("title", &isolated(title))]))
        });
        let open = move |_| {
            if has_link {
                model.mark_read(source, seq);
            }
            self.is_paused.set(false);
            self.close(source, seq);
        };
        let dismiss = move |_| {
            self.is_paused.set(false);
            self.close(source, seq);
        };
        view! {
            <div class="toast" data-level=level data-source=source>
                <span class="notice-symbol" aria-hidden="true">{symbol}</span>
                <div class="toast-content">
                    <p class="toast-title" dir="auto">
                        <span class="visually-hidden">{translate(level_name)}": "</span>
                        <a
                            href=link
                            target=target
                            rel=rel
                            on:click=open
                        >
                            {title}
                        </a>
                    </p>
                    <p class="toast-body" dir="auto">{body}</p>
                </div>
                <button type="button" class="toast-close" aria-label=close on:click=dismiss>"×"</button>
            </div>
        }
        .into_any()
    }
}
