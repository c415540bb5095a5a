//! Between which limits a metric should be. Without scripts a plain form.

use leptos::{
    ev::{Event, SubmitEvent},
    prelude::*,
};

use super::{super::wire::DeviceCommand, detail::Shown, sent::Sent, words};
use crate::{
    i18n::*,
    ui::words::{part, say, text},
};

#[component]
pub fn Thresholds(shown: Shown) -> impl IntoView {
    let form = part(move || shown.may_control.get().then(|| form(shown)));
    view! { {form} }.into_any()
}

fn form(shown: Shown) -> AnyView {
    let sent = Sent::new(shown.device);
    let [low, high, slack] = [(); 3].map(|()| RwSignal::new(String::new()));
    // The fields follow what is set, for the metric that is chosen.
    let set = Memo::new(move |_| {
        let name = shown.metric()?;
        shown
            .device
            .state
            .with(|device| Some((name.clone(), device.metrics.get(&name)?.threshold)))
    });
    Effect::new(move |_| {
        let threshold = set.get().and_then(|(_, threshold)| threshold);
        let text = |limit: Option<f64>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        low.set(text(threshold.and_then(|threshold| threshold.low)));
        high.set(text(threshold.and_then(|threshold| threshold.high)));
        slack.set(text(threshold.map(|threshold| threshold.hysteresis)));
    });
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let number = |field: RwSignal<String>| field.with_untracked(|text| text.trim().parse().ok());
        if let Some(metric) = untrack(|| shown.metric()) {
            sent.send(DeviceCommand::SetThreshold {
                metric,
                low: number(low),
                high: number(high),
                hysteresis: number(slack).unwrap_or_default(),
            });
        }
    };
    view! {
        <form class="threshold" method="post" action=shown.path() on:submit=save>
            <h3>{say!(devices.thresholds)}</h3>
            <input type="hidden" name="act" value="threshold"/>
            {metric_field(shown)}
            <div class="row">
                {field("low", say!(devices.low), low)}
                {field("high", say!(devices.high), high)}
                {field("hysteresis", say!(devices.hysteresis), slack)}
            </div>
            <p class="hint">{say!(devices.threshold_hint)}</p>
            <button class="button" type="submit">{say!(devices.save)}</button>
            {sent.problem()}
        </form>
    }
    .into_any()
}

fn metric_field(shown: Shown) -> AnyView {
    let i18n = use_i18n();
    let names = Memo::new(move |_| shown.names());
    // Not made anew with each report: somebody may have it open.
    let chosen = Memo::new(move |_| shown.metric());
    let options = part(move || {
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
            <span>{say!(devices.metric)}</span>
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
    let label = text(move || label().to_owned());
    view! {
        <label class="field grow">
            <span>{label}</span>
            <input type="number" step="any" name=name autocomplete="off" bind:value=value/>
        </label>
    }
    .into_any()
}
