//! The form that sets a metric's threshold. Works without scripts.

use leptos::{
    ev::{Event, SubmitEvent},
    prelude::*,
};

use super::{
    super::wire::{DeviceCommand, reason_code},
    detail::DeviceContext,
    form_command::FormCommand,
    labels,
};
use crate::{
    i18n::*,
    ui::{
        number_field::parsed_hint,
        text::{dynamic_text, dynamic_view, t},
    },
    wire::number::{self, ParsedNumber},
};

#[component]
pub fn Thresholds(cx: DeviceContext) -> impl IntoView {
    let form = dynamic_view(move || cx.may_control.get().then(|| form(cx)));
    view! { {form} }.into_any()
}

fn form(cx: DeviceContext) -> AnyView {
    let command = FormCommand::new(cx.device);
    // The fields follow the chosen metric's current threshold.
    let current = Memo::new(move |_| {
        let name = cx.selected_metric()?;
        cx.device
            .state
            .with(|device| Some((name.clone(), device.metrics.get(&name)?.threshold)))
    });
    let limits = move || {
        let threshold = current.get().and_then(|(_, threshold)| threshold);
        let low = threshold.and_then(|threshold| threshold.low);
        let high = threshold.and_then(|threshold| threshold.high);
        let hysteresis = threshold.map(|threshold| threshold.hysteresis);
        [low, high, hysteresis].map(|limit| limit.map(labels::number).unwrap_or_default())
    };
    let names = ["low", "high", "hysteresis"];
    let posted = names.map(|name| cx.posted("threshold", name));
    let was_rejected = posted.iter().any(Option::is_some);
    let initial = if was_rejected {
        posted.map(Option::unwrap_or_default)
    } else {
        untrack(limits)
    };
    let fields = initial.map(RwSignal::new);
    let [low, high, hysteresis] = fields;
    Effect::new(move |before: Option<()>| {
        let limits = limits();
        if before.is_none() && was_rejected {
            return;
        }
        for (field, limit) in fields.into_iter().zip(limits) {
            field.set(limit);
        }
    });
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let [Some(low), Some(high), Some(hysteresis)] = [low, high, hysteresis].map(parse_limit) else {
            return command.show_invalid(reason_code::BAD_NUMBER);
        };
        if let Some(metric) = untrack(|| cx.selected_metric()) {
            command.send(DeviceCommand::SetThreshold {
                metric,
                low,
                high,
                hysteresis: hysteresis.unwrap_or_default(),
            });
        }
    };
    view! {
        <form class="threshold" method="post" action=cx.path() on:submit=save>
            <h3>{t!(devices.thresholds)}</h3>
            <input type="hidden" name="act" value="threshold"/>
            {metric_field(cx)}
            <div class="row">
                {field("low", t!(devices.low), low)}
                {field("high", t!(devices.high), high)}
                {field("hysteresis", t!(devices.hysteresis), hysteresis)}
            </div>
            <p class="hint">{t!(devices.threshold_hint)}</p>
            <button class="button" type="submit">{t!(devices.save)}</button>
            {command.problem()}
        </form>
    }
    .into_any()
}

/// Parses a field: `Some(None)` if it is empty, `None` if it is not a number.
fn parse_limit(field: RwSignal<String>) -> Option<Option<f64>> {
    field.with_untracked(|typed| match number::parse(typed) {
        ParsedNumber::Empty => Some(None),
        _ => number::parse_f64(typed).map(Some),
    })
}

fn metric_field(cx: DeviceContext) -> AnyView {
    let i18n = use_i18n();
    // Memos, so that a report does not rebuild the options of an open select.
    let names = Memo::new(move |_| cx.metrics());
    let chosen = Memo::new(move |_| cx.selected_metric());
    let options = dynamic_view(move || {
        let locale = i18n.get_locale();
        let chosen = chosen.get();
        let option = |name: &String| {
            let selected = chosen.as_ref() == Some(name);
            view! { <option value=name.clone() selected=selected>{labels::metric(locale, name)}</option> }
        };
        Some(names.with(|names| names.iter().map(option).collect_view()).into_any())
    });
    let choose = move |event: Event| cx.select_metric(event_target_value(&event));
    view! {
        <label class="field">
            <span>{t!(devices.metric)}</span>
            <select name="metric" on:change=choose>{options}</select>
        </label>
    }
    .into_any()
}

fn field(
    name: &'static str,
    label: impl Fn() -> &'static str + Copy + Send + Sync + 'static,
    value: RwSignal<String>,
) -> AnyView {
    let label = dynamic_text(move || label().to_owned());
    view! {
        <label class="field grow">
            <span>{label}</span>
            <input inputmode="decimal" name=name autocomplete="off" value=value.get_untracked() bind:value=value/>
            {parsed_hint(value)}
        </label>
    }
    .into_any()
}
