//! All devices at a glance: how many are heard, which have an alarm, and a way to find one.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{
    super::{
        model::Overview,
        wire::{ALL, Entry, Fleet, Health},
    },
    browser::ThisBrowser,
    clock::Clock,
    tile::tile,
    words,
};
use crate::{
    i18n::*,
    ui::{
        permissions::Permissions,
        text::{TextKey, dynamic_text, fill, optional_text, page_title, t, text_key, translate},
    },
};
use duplex_leptos::topic::{Live, UseTopic, use_topic};

/// Devices shown at once; more on demand.
const PAGE: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    All,
    Of(Health),
    Alarm,
}

const FILTERS: [(Filter, &str, TextKey); 5] = [
    (Filter::All, "all", text_key!(devices.all)),
    (Filter::Of(Health::Online), "online", text_key!(devices.online)),
    (Filter::Of(Health::Late), "late", text_key!(devices.late)),
    (Filter::Of(Health::Offline), "offline", text_key!(devices.offline)),
    (Filter::Alarm, "alarm", text_key!(devices.alarm)),
];

impl Filter {
    fn lets(self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Of(health) => entry.health == health,
            Self::Alarm => entry.news.alarms > 0,
        }
    }
}

/// Which devices are shown, by name: an order that does not jump.
fn chosen(overview: &Overview, filter: Filter, search: &str) -> Vec<String> {
    let search = search.trim().to_lowercase();
    let found = |id: &str, entry: &Entry| {
        let fields = [id, &entry.news.name, &entry.news.place];
        fields.iter().any(|field| field.to_lowercase().contains(&search))
    };
    let mut devices: Vec<_> = overview
        .devices
        .iter()
        .filter(|(id, entry)| filter.lets(entry) && found(id, entry))
        .map(|(id, entry)| {
            (
                if entry.news.name.is_empty() {
                    id
                } else {
                    &entry.news.name
                }
                .to_lowercase(),
                id,
            )
        })
        .collect();
    devices.sort_unstable();
    devices.into_iter().map(|(_, id)| id.clone()).collect()
}

pub fn overview(clock: Clock) -> AnyView {
    let fleet = use_topic::<Fleet>(ALL);
    view! {
        <Title text=page_title(t!(devices.title))/>
        <header class="page-head devices-head">
            <h1>{t!(devices.title)}</h1>
            <p class="lede">{t!(devices.lede)}</p>
            {demo_note()}
        </header>
        <Live topic=fleet fallback=loading>
            {listed(clock, fleet)}
        </Live>
        <ThisBrowser fleet/>
    }
    .into_any()
}

/// That everybody may set what devices do, where it is so.
pub fn demo_note() -> AnyView {
    let demo = Permissions::current().demo;
    demo.then(|| view! { <p class="hint devices-demo">{t!(devices.demo)}</p> })
        .into_any()
}

pub fn loading() -> AnyView {
    view! { <p class="hint" role="status">{t!(devices.loading)}</p> }.into_any()
}

fn listed(clock: Clock, fleet: UseTopic<Fleet>) -> AnyView {
    let i18n = use_i18n();
    let (filter, search, most) = (
        RwSignal::new(Filter::All),
        RwSignal::new(String::new()),
        RwSignal::new(PAGE),
    );
    let all = Memo::new(move |_| {
        let (filter, search) = (filter.get(), search.get());
        fleet.state.with(|overview| chosen(overview, filter, &search))
    });
    let shown = Memo::new(move |_| all.with(|all| all.iter().take(most.get()).cloned().collect::<Vec<_>>()));
    let empty = optional_text(move || {
        let locale = i18n.get_locale();
        let none = fleet.state.with(|overview| overview.devices.is_empty());
        let words: TextKey = if none {
            text_key!(devices.none_yet)
        } else {
            text_key!(devices.none_found)
        };
        all.with(Vec::is_empty).then(|| words(locale).to_owned())
    });
    let more = optional_text(move || {
        let more = all.with(Vec::len).saturating_sub(most.get());
        (more > 0).then(|| fill(t_string!(i18n, devices.more), &[("count", &more.to_string())]))
    });
    let no_more = move || more.with(Option::is_none);
    view! {
        <div class="devices-bar">
            {filters(fleet, filter)}
            <label class="field grow script">
                <span class="hidden">{t!(devices.search)}</span>
                <input type="search" name="search" placeholder=t!(devices.search) bind:value=search/>
            </label>
            {status(fleet)}
        </div>
        <ul class="fleet" data-status=dynamic_text(move || words::status(fleet.status.get()).0.to_owned())>
            <For each=move || shown.get() key=|id| id.clone() let:id>
                {tile(clock, fleet, id)}
            </For>
        </ul>
        <p class="hint devices-empty" role="status">{empty}</p>
        <button type="button" class="button script" hidden=no_more on:click=move |_| most.update(|most| *most += PAGE)>
            {more}
        </button>
    }
    .into_any()
}

/// How many there are of each state; pressed, only those are shown.
fn filters(fleet: UseTopic<Fleet>, filter: RwSignal<Filter>) -> AnyView {
    let button = |(of, key, name): (Filter, &'static str, TextKey)| {
        let count = Memo::new(move |_| {
            fleet
                .state
                .with(|overview| overview.devices.values().filter(|entry| of.lets(entry)).count())
        });
        let pressed = dynamic_text(move || (filter.get() == of).to_string());
        view! {
            <button type="button" data-filter=key aria-pressed=pressed on:click=move |_| filter.set(of)>
                {translate(name)}" "<span class="count">{dynamic_text(move || count.get().to_string())}</span>
            </button>
        }
    };
    view! {
        <div class="choice devices-filter" role="group" aria-label=t!(devices.filter)>
            {FILTERS.map(button).into_iter().collect_view()}
        </div>
    }
    .into_any()
}

fn status(fleet: UseTopic<Fleet>) -> AnyView {
    let i18n = use_i18n();
    let word = dynamic_text(move || words::status(fleet.status.get()).0.to_owned());
    let said = dynamic_text(move || (words::status(fleet.status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="devices-status script" role="status" data-status=word>
            <span class="dot" aria-hidden="true"></span>
            <span>{said}</span>
        </p>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::{super::super::wire::News, *};

    #[test]
    fn devices_are_found_by_what_they_are_called_and_how_they_are() {
        let entry = |name: &str, place: &str, health, alarms| Entry {
            news: News {
                name: name.to_owned(),
                place: place.to_owned(),
                alarms,
                ..News::default()
            },
            health,
            since: 0,
        };
        let mut overview = Overview::default();
        for (id, entry) in [
            ("b1", entry("Oven", "Hall 2", Health::Online, 1)),
            ("a1", entry("", "홀", Health::Offline, 0)),
            ("c1", entry("freezer", "hall 1", Health::Late, 0)),
        ] {
            overview.devices.insert(id.to_owned(), entry);
        }
        assert_eq!(chosen(&overview, Filter::All, ""), ["a1", "c1", "b1"]);
        assert_eq!(chosen(&overview, Filter::All, " HALL"), ["c1", "b1"]);
        assert_eq!(chosen(&overview, Filter::Of(Health::Late), ""), ["c1"]);
        assert_eq!(chosen(&overview, Filter::Alarm, "o"), ["b1"]);
        assert_eq!(chosen(&overview, Filter::All, "nothing"), Vec::<String>::new());
    }
}
