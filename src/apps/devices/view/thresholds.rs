//! Between which limits a metric should be. Without scripts a plain form.

use leptos::{
    ev::{Event, SubmitEvent},
    prelude::*,
};

use super::{
    super::wire::{DeviceCommand, why},
    detail::Shown,
    sent::Sent,
    words,
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
pub fn Thresholds(shown: Shown) -> impl IntoView {
    let form = dynamic_view(move || shown.may_control.get().then(|| form(shown)));
    view! { {form} }.into_any()
}

fn form(shown: Shown) -> AnyView {
    let sent = Sent::new(shown.device);
    // The fields follow what is set, for the metric that is chosen.
    let set = Memo::new(move |_| {
        let name = shown.metric()?;
        shown
            .device
            .state
            .with(|device| Some((name.clone(), device.metrics.get(&name)?.threshold)))
    });
    let limits = move || {
        let threshold = set.get().and_then(|(_, threshold)| threshold);
        let low = threshold.and_then(|threshold| threshold.low);
        let high = threshold.and_then(|threshold| threshold.high);
        let slack = threshold.map(|threshold| threshold.hysteresis);
        [low, high, slack].map(|limit| limit.map(words::number).unwrap_or_default())
    };
    let names = ["low", "high", "hysteresis"];
    let typed = names.map(|name| shown.typed("threshold", name));
    let is_back = typed.iter().any(Option::is_some);
    let first = if is_back {
        typed.map(Option::unwrap_or_default)
    } else {
        untrack(limits)
    };
    let fields = first.map(RwSignal::new);
    let [low, high, slack] = fields;
    Effect::new(move |before: Option<()>| {
        let limits = limits();
        if before.is_none() && is_back {
            return;
        }
        for (field, limit) in fields.into_iter().zip(limits) {
            field.set(limit);
        }
    });
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let [Some(low), Some(high), Some(slack)] = [low, high, slack].map(limit) else {
            return sent.refuse(why::BAD_NUMBER);
        };
        if let Some(metric) = untrack(|| shown.metric()) {
            sent.send(DeviceCommand::SetThreshold {
                metric,
                low,
                high,
                hysteresis: slack.unwrap_or_default(),
            });
        }
    };
    view! {
        <form class="threshold" method="post" action=shown.path() on:submit=save>
            <h3>{t!(devices.thresholds)}</h3>
            <input type="hidden" name="act" value="threshold"/>
            {metric_field(shown)}
            <div class="row">
                {field("low", t!(devices.low), low)}
                {field("high", t!(devices.high), high)}
                {field("hysteresis", t!(devices.hysteresis), slack)}
            </div>
            <p class="hint">{t!(devices.threshold_hint)}</p>
            <button class="button" type="submit">{t!(devices.save)}</button>
            {sent.problem()}
        </form>
    }
    .into_any()
}

/// What a field says: nothing is no limit; none is no number.
fn limit(field: RwSignal<String>) -> Option<Option<f64>> {
    field.with_untracked(|typed| match number::parse(typed) {
        ParsedNumber::Empty => Some(None),
        _ => number::parse_f64(typed).map(Some),
    })
}

fn metric_field(shown: Shown) -> AnyView {
    let i18n = use_i18n();
    let names = Memo::new(move |_| shown.names());
    // Not made anew with each report: somebody may have it open.
    let chosen = Memo::new(move |_| shown.metric());
    let options = dynamic_view(move || {
        let locale = i18n.get_locale();
        let chosen = chosen.get();
        let option = |name: &String| {
            let selected = chosen.as_ref() == Some(name);
            view! { <option value=name.clone() selected=selected>{words::metric(locale, name)}</option> }
        };
        Some(names.with(|names| names.iter().map(option).collect_view()).into_any())
    });
    let choose = move |event: Event| shown.choose(event_target_value(&event));
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
