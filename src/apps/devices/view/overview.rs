//! The overview page: all devices with their health and alarms, filters and a search.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{
    super::{
        model::FleetState,
        wire::{ALL, Fleet, FleetEntry, Health},
    },
    browser::ThisBrowser,
    clock::Clock,
    labels,
    tile::tile,
};
use crate::{
    i18n::*,
    ui::{
        permissions::Permissions,
        text::{TextKey, dynamic_text, fill, optional_text, page_title, t, text_key, translate},
    },
};
use duplex_leptos::topic::{Live, UseTopic, use_topic};

/// Devices shown initially, and added by each click on "more".
const PAGE_SIZE: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    All,
    Health(Health),
    Alarm,
}

const FILTERS: [(Filter, &str, TextKey); 5] = [
    (Filter::All, "all", text_key!(devices.all)),
    (Filter::Health(Health::Online), "online", text_key!(devices.online)),
    (Filter::Health(Health::Late), "late", text_key!(devices.late)),
    (Filter::Health(Health::Offline), "offline", text_key!(devices.offline)),
    (Filter::Alarm, "alarm", text_key!(devices.alarm)),
];

impl Filter {
    fn matches(self, entry: &FleetEntry) -> bool {
        match self {
            Self::All => true,
            Self::Health(health) => entry.health == health,
            Self::Alarm => entry.summary.alarms > 0,
        }
    }
}

/// The ids of the matching devices, ordered by name, so the order is stable while devices report.
fn filter_devices(overview: &FleetState, filter: Filter, search: &str) -> Vec<String> {
    let search = search.trim().to_lowercase();
    let is_found = |id: &str, entry: &FleetEntry| {
        let fields = [id, &entry.summary.name, &entry.summary.place];
        fields.iter().any(|field| field.to_lowercase().contains(&search))
    };
    let mut devices: Vec<_> = overview
        .devices
        .iter()
        .filter(|(id, entry)| filter.matches(entry) && is_found(id, entry))
        .map(|(id, entry)| {
            (
                if entry.summary.name.is_empty() {
                    id
                } else {
                    &entry.summary.name
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
        <header class="page-header">
            <h1>{t!(devices.title)}</h1>
            <p class="lede">{t!(devices.lede)}</p>
            {demo_note()}
        </header>
        <Live topic=fleet fallback=loading>
            {device_list(clock, fleet)}
        </Live>
        <ThisBrowser fleet/>
    }
    .into_any()
}

/// With `--demo`: a note that everyone may control devices.
pub fn demo_note() -> AnyView {
    let demo = Permissions::current().demo;
    demo.then(|| view! { <p class="hint devices-demo">{t!(devices.demo)}</p> })
        .into_any()
}

pub fn loading() -> AnyView {
    view! { <p class="hint" role="status">{t!(devices.loading)}</p> }.into_any()
}

fn device_list(clock: Clock, fleet: UseTopic<Fleet>) -> AnyView {
    let i18n = use_i18n();
    let (filter, search, limit) = (
        RwSignal::new(Filter::All),
        RwSignal::new(String::new()),
        RwSignal::new(PAGE_SIZE),
    );
    let all = Memo::new(move |_| {
        let (filter, search) = (filter.get(), search.get());
        fleet.state.with(|overview| filter_devices(overview, filter, &search))
    });
    let visible = Memo::new(move |_| all.with(|all| all.iter().take(limit.get()).cloned().collect::<Vec<_>>()));
    let empty = optional_text(move || {
        let locale = i18n.get_locale();
        let is_empty = fleet.state.with(|overview| overview.devices.is_empty());
        let key: TextKey = if is_empty {
            text_key!(devices.none_yet)
        } else {
            text_key!(devices.none_found)
        };
        all.with(Vec::is_empty).then(|| key(locale).to_owned())
    });
    let more = optional_text(move || {
        let more = all.with(Vec::len).saturating_sub(limit.get());
        (more > 0).then(|| fill(t_string!(i18n, devices.more), &[("count", &more.to_string())]))
    });
    let is_complete = move || more.with(Option::is_none);
    view! {
        <div class="devices-toolbar">
            {filters(fleet, filter)}
            <label class="field grow script-only">
                <span class="visually-hidden">{t!(devices.search)}</span>
                <input type="search" name="search" placeholder=t!(devices.search) bind:value=search/>
            </label>
            {status(fleet)}
        </div>
        <ul class="fleet" data-status=dynamic_text(move || labels::status(fleet.status.get()).0.to_owned())>
            <For each=move || visible.get() key=|id| id.clone() let:id>
                {tile(clock, fleet, id)}
            </For>
        </ul>
        <p class="hint devices-empty" role="status">{empty}</p>
        <button type="button" class="button script-only" hidden=is_complete on:click=move |_| limit.update(|limit| *limit += PAGE_SIZE)>
            {more}
        </button>
    }
    .into_any()
}

/// The filter buttons, each with its number of devices.
fn filters(fleet: UseTopic<Fleet>, filter: RwSignal<Filter>) -> AnyView {
    let button = |(value, key, name): (Filter, &'static str, TextKey)| {
        let count = Memo::new(move |_| {
            fleet
                .state
                .with(|overview| overview.devices.values().filter(|entry| value.matches(entry)).count())
        });
        let pressed = dynamic_text(move || (filter.get() == value).to_string());
        view! {
            <button type="button" data-filter=key aria-pressed=pressed on:click=move |_| filter.set(value)>
                {translate(name)}" "<span class="count">{dynamic_text(move || count.get().to_string())}</span>
            </button>
        }
    };
    view! {
        <div class="segmented-control devices-filter" role="group" aria-label=t!(devices.filter)>
            {FILTERS.map(button).into_iter().collect_view()}
        </div>
    }
    .into_any()
}

fn status(fleet: UseTopic<Fleet>) -> AnyView {
    let i18n = use_i18n();
    let status_code = dynamic_text(move || labels::status(fleet.status.get()).0.to_owned());
    let label = dynamic_text(move || (labels::status(fleet.status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="devices-status script-only" role="status" data-status=status_code>
            <span class="dot" aria-hidden="true"></span>
            <span>{label}</span>
        </p>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::{super::super::wire::DeviceSummary, *};

    #[test]
    fn devices_are_found_by_text_and_by_health() {
        let entry = |name: &str, place: &str, health, alarms| FleetEntry {
            summary: DeviceSummary {
                name: name.to_owned(),
                place: place.to_owned(),
                alarms,
                ..DeviceSummary::default()
            },
            health,
            health_since: 0,
        };
        let mut overview = FleetState::default();
        for (id, entry) in [
            ("b1", entry("Oven", "Hall 2", Health::Online, 1)),
            ("a1", entry("", "홀", Health::Offline, 0)),
            ("c1", entry("freezer", "hall 1", Health::Late, 0)),
        ] {
            overview.devices.insert(id.to_owned(), entry);
        }
        assert_eq!(filter_devices(&overview, Filter::All, ""), ["a1", "c1", "b1"]);
        assert_eq!(filter_devices(&overview, Filter::All, " HALL"), ["c1", "b1"]);
        assert_eq!(filter_devices(&overview, Filter::Health(Health::Late), ""), ["c1"]);
        assert_eq!(filter_devices(&overview, Filter::Alarm, "o"), ["b1"]);
        assert_eq!(filter_devices(&overview, Filter::All, "nothing"), Vec::<String>::new());
    }
}
