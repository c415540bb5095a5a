//! What comes is shown for a while in the corner of every page, and said by screen readers; where the page is out of sight,
//! the browser shows it, if it may.

use std::time::Duration;

use leptos::prelude::*;

use super::super::{
    model::Sent,
    wire::{PATH, is_link},
};
use super::{browser, desk::Desk, words};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, fill, t, translate},
    wire::{notice::Level, text::isolated},
};

/// Toasts at a time; the oldest go, and wait in the inbox.
const SHOWN: usize = 4;
/// How long a toast stays. What is dangerous stays until it is closed or read.
const STAY: Duration = Duration::from_secs(8);
/// While somebody is at the toasts, none goes; then all have this long.
const LINGER: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    pub source: &'static str,
    pub sent: Sent,
}

#[derive(Clone, Copy)]
pub struct Tray {
    toasts: RwSignal<Vec<Toast>>,
    /// The visitor's pointer or focus is among them.
    held: RwSignal<bool>,
    i18n: Language,
}

impl Tray {
    pub fn new() -> Self {
        Self {
            toasts: RwSignal::new(Vec::new()),
            held: RwSignal::new(false),
            i18n: use_i18n(),
        }
    }

    /// Each notice comes here once, also those that were missed while there was no connection.
    pub fn hear(self, desk: Desk, source: &'static str, sent: Option<Sent>) {
        let now = super::desk::clock();
        let Some(sent) = sent.filter(|sent| sent.is_current(now) && !untrack(|| desk.is_read(source, sent))) else {
            return;
        };
        let toast = Toast { source, sent };
        if document().hidden() {
            self.tell_browser(&toast);
        }
        let (seq, stays) = (toast.sent.seq, toast.sent.notice.level == Level::Danger);
        self.toasts.update(|toasts| {
            toasts.push(toast);
            let more = toasts.len().saturating_sub(SHOWN);
            toasts.drain(..more);
        });
        if !stays {
            set_timeout(move || self.go(source, seq), STAY);
        }
    }

    fn tell_browser(self, toast: &Toast) {
        let locale = self.i18n.get_locale_untracked();
        let notice = &toast.sent.notice;
        let link = notice.link.clone().filter(|link| is_link(link));
        browser::show(
            &words::said(locale, &notice.title),
            &words::said(locale, &notice.body),
            &toast.tag(),
            link.unwrap_or_else(|| PATH.to_owned()),
        );
    }

    fn go(self, source: &'static str, seq: u64) {
        match self.held.try_get_untracked() {
            None => {}
            Some(true) => set_timeout(move || self.go(source, seq), LINGER),
            Some(false) => self.close(source, seq),
        }
    }

    fn close(self, source: &'static str, seq: u64) {
        self.toasts
            .try_update(|toasts| toasts.retain(|toast| (toast.source, toast.sent.seq) != (source, seq)));
    }

    /// Two live regions: what is dangerous interrupts a screen reader, the rest waits for its turn. They stand in the page
    /// before anything is in them, or nobody would hear it.
    pub fn view(self, desk: Desk) -> AnyView {
        view! {
            <section
                class="toasts"
                aria-label=t!(notifications.toasts)
                on:mouseenter=move |_| self.held.set(true)
                on:mouseleave=move |_| self.held.set(false)
                on:focusin=move |_| self.held.set(true)
                on:focusout=move |_| self.held.set(false)
            >
                <div class="toasts-polite" role="status" aria-live="polite" aria-relevant="additions">{self.list(desk, false)}</div>
                <div class="toasts-assertive" role="alert" aria-live="assertive" aria-relevant="additions">{self.list(desk, true)}</div>
            </section>
        }
        .into_any()
    }

    fn list(self, desk: Desk, danger: bool) -> AnyView {
        let shown = Memo::new(move |_| {
            let now = desk.now.get();
            self.toasts.with(|toasts| {
                let here = |toast: &&Toast| {
                    let Toast { source, sent } = toast;
                    let level = (sent.notice.level == Level::Danger) == danger;
                    // Read in another tab, it needs no telling here.
                    level && sent.is_current(now) && !desk.is_read(source, sent)
                };
                toasts.iter().filter(here).cloned().collect::<Vec<_>>()
            })
        });
        view! {
            <For each=move || shown.get() key=Toast::tag let:toast>
                {self.toast(desk, toast)}
            </For>
        }
        .into_any()
    }

    fn toast(self, desk: Desk, toast: Toast) -> AnyView {
        let i18n = self.i18n;
        let Toast { source, sent } = toast;
        let seq = sent.seq;
        let (level, level_name, sign) = words::level(sent.notice.level);
        let (titles, bodies) = (sent.notice.title, sent.notice.body);
        let title = dynamic_text(move || words::said(i18n.get_locale(), &titles));
        let body = dynamic_text(move || words::said(i18n.get_locale(), &bodies));
        let link = sent.notice.link.filter(|link| is_link(link));
        let read = link.is_some();
        let link = link.unwrap_or_else(|| PATH.to_owned());
        let (target, rel) = words::way(&link);
        let close = dynamic_text(move || {
            title.with(|title| fill(t_string!(i18n, notifications.close_of), &[("title", &isolated(title))]))
        });
        let follow = move |_| {
            if read {
                desk.mark(source, seq);
            }
            self.held.set(false);
            self.close(source, seq);
        };
        let shut = move |_| {
            self.held.set(false);
            self.close(source, seq);
        };
        view! {
            <div class="toast" data-level=level data-source=source>
                <span class="notice-sign" aria-hidden="true">{sign}</span>
                <div class="toast-main">
                    <p class="toast-title" dir="auto">
                        <span class="hidden">{translate(level_name)}": "</span>
                        <a
                            href=link
                            target=target
                            rel=rel
                            on:click=follow
                        >
                            {title}
                        </a>
                    </p>
                    <p class="toast-body" dir="auto">{body}</p>
                </div>
                <button type="button" class="toast-close" aria-label=close on:click=shut>"×"</button>
            </div>
        }
        .into_any()
    }
}
