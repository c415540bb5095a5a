//! One device in the overview.

use leptos::prelude::*;

use super::{
    super::wire::{DeviceSummary, Fleet, FleetEntry, Health, device_path},
    clock::Clock,
    gauge::gauge,
    labels,
};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, fill, optional_text},
};
use duplex_leptos::topic::UseTopic;

pub fn tile(clock: Clock, fleet: UseTopic<Fleet>, id: String) -> AnyView {
    let i18n = use_i18n();
    let path = device_path(&id);
    let entry = Memo::new({
        let id = id.clone();
        move |_| {
            fleet
                .state
                .with(|overview| overview.devices.get(&id).cloned().unwrap_or_else(removed_placeholder))
        }
    });
    let title = dynamic_text({
        let id = id.clone();
        move || entry.with(|entry| labels::device(i18n.get_locale(), &id, &entry.summary.name))
    });
    let place =
        optional_text(move || entry.with(|entry| Some(entry.summary.place.clone()).filter(|place| !place.is_empty())));
    let health = dynamic_text(move || labels::health(entry.with(|entry| entry.health)).0.to_owned());
    let health_label =
        dynamic_text(move || (labels::health(entry.with(|entry| entry.health)).1)(i18n.get_locale()).to_owned());
    let seen = dynamic_text(move || clock.ago(i18n.get_locale(), entry.with(|entry| entry.summary.last_seen)));
    let alarms = optional_text(move || {
        let count = entry.with(|entry| entry.summary.alarms);
        (count > 0).then(|| fill(t_string!(i18n, devices.alarm_count), &[("count", &count.to_string())]))
    });
    let latest = Memo::new(move |_| entry.with(|entry| entry.summary.latest.clone()));
    let gauges = dynamic_view(move || {
        let locale = i18n.get_locale();
        Some(
            latest
                .with(|latest| latest.iter().map(|current| gauge(locale, current)).collect_view())
                .into_any(),
        )
    });
    view! {
        <li class="device" data-device=id data-health=health>
            <a class="device-link" href=path>
                <span class="device-name" dir="auto">{title}</span>
                <span class="hint" dir="auto">{place}</span>
            </a>
            <div class="gauges">{gauges}</div>
            <p class="device-footer">
                <span class="health"><span class="dot" aria-hidden="true"></span>{health_label}</span>
                <span class="alarm-badge">{alarms}</span>
                <span class="hint">{seen}</span>
            </p>
        </li>
    }
    .into_any()
}

/// Placeholder for the moment between the device's removal from the state and that of its tile.
fn removed_placeholder() -> FleetEntry {
    FleetEntry {
        summary: DeviceSummary::default(),
        health: Health::Offline,
        health_since: 0,
    }
}
