//! The page's list of notices of all sources, newest first, with filters and a button that loads earlier ones.

use std::collections::BTreeMap;

use leptos::{prelude::*, task::spawn_local};

use super::super::{
    model::{NoticeEntry, NoticeEvent, clamp_times},
    wire::{GROUPS, Notices, OWN_INBOX},
};
use super::{cache::NoticeCache, inbox_model::InboxModel, row::row};
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

/// Rows shown initially, and added by each click on "older".
const ROWS_PER_CLICK: usize = 50;
/// Events per page of history; only some of an inbox's events are notices.
const HISTORY_PAGE: usize = 100;

/// The visitor's filters.
#[derive(Clone, Copy)]
pub struct Filter {
    pub unread: RwSignal<bool>,
    pub level: RwSignal<Option<Level>>,
    pub source: RwSignal<Option<&'static str>>,
}

pub type NoticeKey = (&'static str, Seq);

#[derive(Clone, Copy)]
pub struct ListModel {
    pub model: InboxModel,
    pub filter: Filter,
    cache: StoredValue<BTreeMap<&'static str, NoticeCache>>,
    /// Incremented when the cache changes.
    version: RwSignal<u32>,
    rows: RwSignal<usize>,
    loading: RwSignal<bool>,
    failed: RwSignal<bool>,
    /// Whether times are shown in the visitor's time zone, which is known after hydration.
    pub use_local_time: RwSignal<bool>,
}

impl ListModel {
    /// Call after the model's states have loaded. Effects are owned by the calling component.
    pub fn start(model: InboxModel) -> Self {
        let list = Self {
            model,
            filter: Filter {
                unread: RwSignal::new(false),
                level: RwSignal::new(None),
                source: RwSignal::new(None),
            },
            cache: StoredValue::new(BTreeMap::new()),
            version: RwSignal::new(0),
            rows: RwSignal::new(ROWS_PER_CLICK),
            loading: RwSignal::new(false),
            failed: RwSignal::new(false),
            use_local_time: RwSignal::new(false),
        };
        untrack(|| list.sync());
        Effect::new(move |before: Option<u32>| {
            list.use_local_time.set(true);
            let logs = list.model.log_version();
            if before.is_some_and(|before| before != logs) {
                list.cache.update_value(BTreeMap::clear);
                list.bump_version();
            }
            list.sync();
            logs
        });
        list.listen();
        list
    }

    fn sync(self) {
        let mut changed = false;
        for source in all_sources() {
            self.model.with_list(source, &mut |list| {
                self.cache
                    .update_value(|cache| changed |= cache.entry(source).or_default().sync(list));
            });
        }
        if changed {
            self.bump_version();
        }
    }

    /// Caches each notice as it arrives: the state alone misses notices that were added and dropped between two updates.
    fn listen(self) {
        self.model
            .inbox
            .on_event(move |seq, event| self.on_notice(OWN_INBOX, event.entry(seq)));
        self.model
            .all
            .on_event(move |seq, event| self.on_notice(EVERYONE, event.entry(seq)));
        for group in GROUPS {
            if let Some(topic) = untrack(|| self.model.group(group)) {
                topic.on_event(move |seq, event| self.on_notice(group, event.entry(seq)));
            }
        }
    }

    fn on_notice(self, source: &'static str, entry: Option<NoticeEntry>) {
        if let Some(entry) = entry {
            self.cache
                .try_update_value(|cache| cache.entry(source).or_default().insert(entry));
            self.bump_version();
        }
    }

    fn bump_version(self) {
        self.version.try_update(|count| *count = count.wrapping_add(1));
    }

    pub fn notice(self, (source, seq): NoticeKey) -> Option<NoticeEntry> {
        self.cache.with_value(|cache| cache.get(source)?.get(seq).cloned())
    }

    fn filtered_sources(self) -> Vec<&'static str> {
        let filter = self.filter.source.get();
        let mut sources = self.model.sources();
        sources.retain(|source| filter.is_none_or(|filter| filter == *source));
        sources
    }

    /// Newest first.
    fn keys(self) -> Vec<NoticeKey> {
        self.version.track();
        let (unread, level, now) = (self.filter.unread.get(), self.filter.level.get(), self.model.now.get());
        let mut found = Vec::new();
        self.cache.with_value(|cache| {
            for source in self.filtered_sources() {
                let matches = |entry: &&NoticeEntry| {
                    entry.is_unexpired(now)
                        && level.is_none_or(|level| entry.notice.level == level)
                        && !(unread && self.model.is_read(source, entry))
                };
                let all = cache.get(source).into_iter().flat_map(NoticeCache::all);
                let mut all: Vec<_> = all.map(|entry| (entry, entry.at)).collect();
                all.sort_unstable_by_key(|(entry, _)| entry.seq);
                clamp_times(all.iter_mut().map(|(_, at)| at), now);
                let matching = all.into_iter().filter(|(entry, _)| matches(entry));
                found.extend(matching.map(|(entry, at)| (at, source, entry.seq)));
            }
        });
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, source, seq)| (source, seq)).collect()
    }

    /// The sources that may have earlier notices, each with the seq before which to request them.
    fn sources_with_history(self) -> Vec<(&'static str, Seq)> {
        self.version.track();
        let sources = self.filtered_sources();
        self.cache.with_value(|cache| {
            let next = |source: &'static str| Some((source, cache.get(source)?.next_page_before()?));
            sources.into_iter().filter_map(next).collect()
        })
    }

    /// Shows more rows, and loads a page of each source's history. Call only from event handlers.
    fn load_older(self) {
        self.rows.update(|rows| *rows += ROWS_PER_CLICK);
        let sources = untrack(|| self.sources_with_history());
        if self.loading.get_untracked() || sources.is_empty() {
            return;
        }
        self.loading.set(true);
        spawn_local(async move {
            let mut failed = false;
            for (source, before) in sources {
                failed |= self.fetch_history(source, before).await.is_err();
            }
            self.failed.try_set(failed);
            self.loading.try_set(false);
            self.bump_version();
        });
    }

    async fn fetch_history(self, source: &'static str, before: Seq) -> Result<(), HttpError> {
        match source {
            OWN_INBOX => self.add_history(source, self.model.inbox.history(before, HISTORY_PAGE).await?),
            EVERYONE => self.add_history(source, self.model.all.history(before, HISTORY_PAGE).await?),
            group => {
                if let Some(topic) = untrack(|| self.model.group(group)) {
                    let topic: UseTopic<Notices> = topic;
                    self.add_history(source, topic.history(before, HISTORY_PAGE).await?);
                }
            }
        }
        Ok(())
    }

    fn add_history<T: Topic>(self, source: &'static str, page: History<T>)
    where
        T::Event: NoticeEvent,
    {
        let oldest = page.events.first().map(|(seq, _)| *seq);
        let notices = page
            .events
            .iter()
            .filter_map(|(seq, event)| event.entry(*seq))
            .collect();
        self.cache.try_update_value(|cache| {
            cache
                .entry(source)
                .or_default()
                .add_page(notices, oldest, page.is_first_page)
        });
    }
}

fn all_sources() -> impl Iterator<Item = &'static str> {
    [OWN_INBOX, EVERYONE].into_iter().chain(GROUPS)
}

/// The id of the list, which receives the focus when a focused row disappears.
pub const LIST_ID: &str = "notices";

pub fn list_view(list: ListModel) -> AnyView {
    let keys = Memo::new(move |_| list.keys());
    let visible = Memo::new(move |_| {
        let rows = list.rows.get();
        keys.with(|keys| keys.iter().take(rows).copied().collect::<Vec<NoticeKey>>())
    });
    let empty_hint = dynamic_view(move || {
        let text = match (keys.with(Vec::is_empty), list.filter.unread.get()) {
            (false, _) => return None,
            (true, true) => text_key!(notifications.nothing_unread),
            (true, false) => text_key!(notifications.nothing),
        };
        Some(view! { <p class="notices-empty">{translate(text)}</p> }.into_any())
    });
    let has_more = Memo::new(move |_| keys.with(Vec::len) > list.rows.get() || !list.sources_with_history().is_empty());
    let older = dynamic_view(move || has_more.get().then(|| older_button(list)));
    view! {
        <section class="notices" aria-label=t!(notifications.list) id=LIST_ID tabindex="-1">
            <ol>
                <For each=move || visible.get() key=|key| *key let:key>
                    {row(list, key)}
                </For>
            </ol>
            {empty_hint}
            {older}
        </section>
    }
    .into_any()
}

fn older_button(list: ListModel) -> AnyView {
    let i18n = use_i18n();
    let name = dynamic_text(move || {
        let text = match (list.loading.get(), list.failed.get()) {
            (true, _) => t_string!(i18n, notifications.loading),
            (false, true) => t_string!(i18n, notifications.history_failed),
            (false, false) => t_string!(i18n, notifications.older),
        };
        text.to_owned()
    });
    view! { <button type="button" class="button small load-older script-only" on:click=move |_| list.load_older()>{name}</button> }
        .into_any()
}
