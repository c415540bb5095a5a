//! What a device measures now; chosen, its history is drawn.

use leptos::prelude::*;

use super::{detail::Shown, words};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, optional_text, t},
};

/// Characters of a value that fit beside others.
const LONG: usize = 10;

#[component]
pub fn Values(shown: Shown) -> impl IntoView {
    let names = Memo::new(move |_| shown.names());
    view! {
        <ul class="values" aria-label=t!(devices.values)>
            <For each=move || names.get() key=|name| name.clone() let:name>
                {value(shown, name)}
            </For>
        </ul>
    }
    .into_any()
}

fn value(shown: Shown, name: String) -> AnyView {
    let i18n = use_i18n();
    let name = StoredValue::new(name);
    let device = shown.device.state;
    let now = dynamic_text(move || {
        device.with(|device| name.with_value(|name| device.metrics.get(name).map(words::of).unwrap_or_default()))
    });
    let is_long = dynamic_text(move || now.with(|now| now.chars().count() > LONG).to_string());
    let called = dynamic_text(move || name.with_value(|name| words::metric(i18n.get_locale(), name)));
    let alarm = Memo::new(move |_| {
        device.with(|device| name.with_value(|name| device.alarm(name).map(|alarm| (alarm.side, alarm.limit))))
    });
    let is_alarm = dynamic_text(move || alarm.with(Option::is_some).to_string());
    let said = optional_text(move || {
        let (side, limit) = alarm.get()?;
        Some(format!(
            "{} {}",
            words::side(side)(i18n.get_locale()),
            words::number(limit)
        ))
    });
    let pressed = dynamic_text(move || (shown.metric() == Some(name.get_value())).to_string());
    view! {
        <li data-long=is_long>
            <button
                type="button"
                class="value"
                data-metric=name.get_value()
                data-alarm=is_alarm
                aria-pressed=pressed
                on:click=move |_| shown.choose(name.get_value())
            >
                <span class="value-name">{called}</span>
                <span class="value-number" dir="ltr">{now}</span>
                <span class="value-alarm">{said}</span>
            </button>
        </li>
    }
    .into_any()
}
