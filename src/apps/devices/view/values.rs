//! The current values of a device, as buttons that choose the metric whose history is drawn.

use leptos::prelude::*;

use super::{detail::DeviceContext, labels};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, optional_text, t},
};

/// Maximum characters of a value that fits beside others.
const MAX_SHORT_CHARS: usize = 10;

#[component]
pub fn Values(cx: DeviceContext) -> impl IntoView {
    let names = Memo::new(move |_| cx.metrics());
    view! {
        <ul class="values" aria-label=t!(devices.values)>
            <For each=move || names.get() key=|name| name.clone() let:name>
                {value(cx, name)}
            </For>
        </ul>
    }
    .into_any()
}

fn value(cx: DeviceContext, name: String) -> AnyView {
    let i18n = use_i18n();
    let name = StoredValue::new(name);
    let device = cx.device.state;
    let current = dynamic_text(move || {
        device.with(|device| {
            name.with_value(|name| device.metrics.get(name).map(labels::current_value).unwrap_or_default())
        })
    });
    let is_long = dynamic_text(move || {
        current
            .with(|current| current.chars().count() > MAX_SHORT_CHARS)
            .to_string()
    });
    let label = dynamic_text(move || name.with_value(|name| labels::metric(i18n.get_locale(), name)));
    let alarm = Memo::new(move |_| {
        device.with(|device| name.with_value(|name| device.alarm(name).map(|alarm| (alarm.limit_kind, alarm.limit))))
    });
    let is_alarm = dynamic_text(move || alarm.with(Option::is_some).to_string());
    let alarm_label = optional_text(move || {
        let (limit_kind, limit) = alarm.get()?;
        Some(format!(
            "{} {}",
            labels::limit_kind(limit_kind)(i18n.get_locale()),
            labels::number(limit)
        ))
    });
    let pressed = dynamic_text(move || (cx.selected_metric() == Some(name.get_value())).to_string());
    view! {
        <li data-long=is_long>
            <button
                type="button"
                class="value"
                data-metric=name.get_value()
                data-alarm=is_alarm
                aria-pressed=pressed
                on:click=move |_| cx.select_metric(name.get_value())
            >
                <span class="value-name">{label}</span>
                <span class="value-number" dir="ltr">{current}</span>
                <span class="value-alarm">{alarm_label}</span>
            </button>
        </li>
    }
    .into_any()
}
