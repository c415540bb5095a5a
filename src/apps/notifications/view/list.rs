//! The notices that the page shows, of all sources in the order of time: which it holds, which of them are wanted, and the
//! way to earlier ones.

use std::collections::BTreeMap;

use leptos::{prelude::*, task::spawn_local};

use super::super::{
    model::{Carries, Sent, settle_times},
    wire::{GROUPS, ME, Notices},
};
use super::{desk::Desk, held::Held, row::row};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, t, text_key, translate},
    wire::notice::{EVERYONE, Level},
};
use duplex_leptos::{
    http::HttpError,
    topic::{History, UseTopic},
};
use duplex_protocol::{cursor::Seq, topic::Topic};

/// Rows that the page begins with, and that are added at once.
const ROWS: usize = 50;
/// Events of one page of history: an inbox's are not all notices.
const PAGE: usize = 100;

/// What the visitor wants to see.
#[derive(Clone, Copy)]
pub struct Filter {
    pub unread: RwSignal<bool>,
    pub level: RwSignal<Option<Level>>,
    pub source: RwSignal<Option<&'static str>>,
}

pub type Key = (&'static str, Seq);

#[derive(Clone, Copy)]
pub struct List {
    pub desk: Desk,
    pub filter: Filter,
    held: StoredValue<BTreeMap<&'static str, Held>>,
    /// Told when notices come or go.
    order: RwSignal<u32>,
    rows: RwSignal<usize>,
    loading: RwSignal<bool>,
    failed: RwSignal<bool>,
    /// The page knows the visitor's zone.
    pub local: RwSignal<bool>,
}

impl List {
    /// Belongs to the component that calls it; the desk's states are there.
    pub fn start(desk: Desk) -> Self {
        let list = Self {
            desk,
            filter: Filter {
                unread: RwSignal::new(false),
                level: RwSignal::new(None),
                source: RwSignal::new(None),
            },
            held: StoredValue::new(BTreeMap::new()),
            order: RwSignal::new(0),
            rows: RwSignal::new(ROWS),
            loading: RwSignal::new(false),
            failed: RwSignal::new(false),
            local: RwSignal::new(false),
        };
        untrack(|| list.agree());
        Effect::new(move |before: Option<u32>| {
            list.local.set(true);
            let logs = list.desk.logs();
            if before.is_some_and(|before| before != logs) {
                list.held.update_value(BTreeMap::clear);
                list.touch();
            }
            list.agree();
            logs
        });
        list.listen();
        list
    }

    fn agree(self) {
        let mut news = false;
        for source in all_sources() {
            self.desk.look(source, &mut |board| {
                self.held
                    .update_value(|held| news |= held.entry(source).or_default().agree_with(board));
            });
        }
        if news {
            self.touch();
        }
    }

    /// Each notice in turn: the states alone would not show what came and went between two looks.
    fn listen(self) {
        self.desk
            .inbox
            .on_event(move |seq, event| self.hear(ME, event.sent(seq)));
        self.desk
            .all
            .on_event(move |seq, event| self.hear(EVERYONE, event.sent(seq)));
        for group in GROUPS {
            if let Some(topic) = untrack(|| self.desk.group(group)) {
                topic.on_event(move |seq, event| self.hear(group, event.sent(seq)));
            }
        }
    }

    fn hear(self, source: &'static str, sent: Option<Sent>) {
        if let Some(sent) = sent {
            self.held
                .try_update_value(|held| held.entry(source).or_default().hear(sent));
            self.touch();
        }
    }

    fn touch(self) {
        self.order.try_update(|count| *count = count.wrapping_add(1));
    }

    pub fn notice(self, (source, seq): Key) -> Option<Sent> {
        self.held.with_value(|held| held.get(source)?.get(seq).cloned())
    }

    fn wanted_sources(self) -> Vec<&'static str> {
        let wanted = self.filter.source.get();
        let mut sources = self.desk.sources();
        sources.retain(|source| wanted.is_none_or(|wanted| wanted == *source));
        sources
    }

    /// Newest first.
    fn keys(self) -> Vec<Key> {
        self.order.track();
        let (unread, level, now) = (self.filter.unread.get(), self.filter.level.get(), self.desk.now.get());
        let mut found = Vec::new();
        self.held.with_value(|held| {
            for source in self.wanted_sources() {
                let fits = |sent: &&Sent| {
                    sent.is_current(now)
                        && level.is_none_or(|level| sent.notice.level == level)
                        && !(unread && self.desk.is_read(source, sent))
                };
                let all = held.get(source).into_iter().flat_map(Held::all);
                let mut all: Vec<_> = all.map(|sent| (sent, sent.at)).collect();
                all.sort_unstable_by_key(|(sent, _)| sent.seq);
                settle_times(all.iter_mut().map(|(_, at)| at), now);
                let fitting = all.into_iter().filter(|(sent, _)| fits(sent));
                found.extend(fitting.map(|(sent, at)| (at, source, sent.seq)));
            }
        });
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, source, seq)| (source, seq)).collect()
    }

    /// The sources of which there may be earlier notices.
    fn open(self) -> Vec<(&'static str, Seq)> {
        self.order.track();
        let sources = self.wanted_sources();
        self.held.with_value(|held| {
            let wants = |source: &'static str| Some((source, held.get(source)?.wants()?));
            sources.into_iter().filter_map(wants).collect()
        })
    }

    /// More rows: of what is held, and of each source's history. Only from event handlers.
    fn earlier(self) {
        self.rows.update(|rows| *rows += ROWS);
        let open = untrack(|| self.open());
        if self.loading.get_untracked() || open.is_empty() {
            return;
        }
        self.loading.set(true);
        spawn_local(async move {
            let mut failed = false;
            for (source, before) in open {
                failed |= self.ask(source, before).await.is_err();
            }
            self.failed.try_set(failed);
            self.loading.try_set(false);
            self.touch();
        });
    }

    async fn ask(self, source: &'static str, before: Seq) -> Result<(), HttpError> {
        match source {
            ME => self.take(source, self.desk.inbox.history(before, PAGE).await?),
            EVERYONE => self.take(source, self.desk.all.history(before, PAGE).await?),
            group => {
                if let Some(topic) = untrack(|| self.desk.group(group)) {
                    let topic: UseTopic<Notices> = topic;
                    self.take(source, topic.history(before, PAGE).await?);
                }
            }
        }
        Ok(())
    }

    fn take<T: Topic>(self, source: &'static str, page: History<T>)
    where
        T::Event: Carries,
    {
        let oldest = page.events.first().map(|(seq, _)| *seq);
        let notices = page.events.iter().filter_map(|(seq, event)| event.sent(*seq)).collect();
        self.held
            .try_update_value(|held| held.entry(source).or_default().add_page(notices, oldest, page.first));
    }
}

fn all_sources() -> impl Iterator<Item = &'static str> {
    [ME, EVERYONE].into_iter().chain(GROUPS)
}

/// The element that takes the focus when a row goes.
pub const LIST_ID: &str = "notices";

pub fn list_view(list: List) -> AnyView {
    let keys = Memo::new(move |_| list.keys());
    let shown = Memo::new(move |_| {
        let rows = list.rows.get();
        keys.with(|keys| keys.iter().take(rows).copied().collect::<Vec<Key>>())
    });
    let empty = dynamic_view(move || {
        let words = match (keys.with(Vec::is_empty), list.filter.unread.get()) {
            (false, _) => return None,
            (true, true) => text_key!(notifications.nothing_unread),
            (true, false) => text_key!(notifications.nothing),
        };
        Some(view! { <p class="notices-empty">{translate(words)}</p> }.into_any())
    });
    let more = Memo::new(move |_| keys.with(Vec::len) > list.rows.get() || !list.open().is_empty());
    let older = dynamic_view(move || more.get().then(|| older_button(list)));
    view! {
        <section class="notices" aria-label=t!(notifications.list) id=LIST_ID tabindex="-1">
            <ol>
                <For each=move || shown.get() key=|key| *key let:key>
                    {row(list, key)}
                </For>
            </ol>
            {empty}
            {older}
        </section>
    }
    .into_any()
}

fn older_button(list: List) -> AnyView {
    let i18n = use_i18n();
    let name = dynamic_text(move || {
        let words = match (list.loading.get(), list.failed.get()) {
            (true, _) => t_string!(i18n, notifications.loading),
            (false, true) => t_string!(i18n, notifications.history_failed),
            (false, false) => t_string!(i18n, notifications.older),
        };
        words.to_owned()
    });
    view! { <button type="button" class="button small older script" on:click=move |_| list.earlier()>{name}</button> }
        .into_any()
}
