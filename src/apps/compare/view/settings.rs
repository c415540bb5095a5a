//! The settings card: presets, limits, and the progress of a run.

use leptos::{ev::Event, prelude::*, web_sys::HtmlInputElement};

use super::super::comparison::{Comparison, RunProgress};
use super::super::model::{COUNTS, IN_FLIGHT, PAYLOADS, RATES, Settings};
use super::labels;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        text::{TextKey, dynamic_text, fill, optional_text, t, text_key, translate},
    },
    wire::number,
};

#[component]
pub fn SettingsCard(comparison: Comparison) -> impl IntoView {
    let idle = move || comparison.running.with(Option::is_none);
    let busy = Signal::derive(move || !idle());
    view! {
        <Card id="measure" title=text_key!(compare.settings)>
            <div class="presets" role="group" aria-label=t!(compare.presets)>
                {preset(comparison, text_key!(compare.preset_chat), Settings::CHAT)}
                {preset(comparison, text_key!(compare.preset_tick), Settings::TICK)}
                {preset(comparison, text_key!(compare.preset_sensor), Settings::SENSOR)}
            </div>
            <div class="row settings">
                {number(comparison, text_key!(compare.payload), "payload", PAYLOADS, |settings| &mut settings.payload)}
                {number(comparison, text_key!(compare.count), "count", COUNTS, |settings| &mut settings.count)}
                {number(comparison, text_key!(compare.rate), "rate", RATES, |settings| &mut settings.rate)}
                {number(comparison, text_key!(compare.in_flight), "in-flight", IN_FLIGHT, |settings| &mut settings.in_flight)}
            </div>
            <p class="hint">{t!(compare.settings_hint)}</p>
            <div class="row">
                <button class="button primary" data-action="measure" disabled=busy on:click=move |_| comparison.measure_transports()>
                    {t!(compare.measure)}
                </button>
                <button class="button" data-action="stop" disabled=idle on:click=move |_| comparison.stop()>
                    {t!(compare.stop)}
                </button>
            </div>
            {progress(comparison)}
        </Card>
    }
    .into_any()
}

fn preset(comparison: Comparison, name: TextKey, preset: Settings) -> AnyView {
    let chosen = move || comparison.settings.with(|settings| *settings == preset).to_string();
    view! {
        <button class="button small" aria-pressed=chosen on:click=move |_| comparison.settings.set(preset)>{translate(name)}</button>
    }
    .into_any()
}

fn number(
    comparison: Comparison,
    name: TextKey,
    key: &'static str,
    range: std::ops::RangeInclusive<u32>,
    field: fn(&mut Settings) -> &mut u32,
) -> AnyView {
    let value = dynamic_text(move || {
        let mut settings = comparison.settings.get();
        field(&mut settings).to_string()
    });
    let i18n = use_i18n();
    let (min, max) = (*range.start(), *range.end());
    let invalid_input = RwSignal::new(None::<String>);
    let on_change = move |event: Event| {
        let input = event_target_value(&event);
        let parsed = number::parse_u32(&input);
        invalid_input.set(parsed.is_none().then_some(input));
        if let Some(number) = parsed {
            comparison.settings.update(|settings| {
                *field(settings) = number;
                *settings = settings.clamped();
            });
        }
        // Reset the field to the effective value, after clamping or invalid input.
        event_target::<HtmlInputElement>(&event).set_value(&value.get_untracked());
    };
    let problem = optional_text(move || {
        let (min, max) = (min.to_string(), max.to_string());
        let values = [("typed", invalid_input.get()?), ("least", min), ("most", max)];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        Some(fill(td_string!(i18n.get_locale(), number.range), &values))
    });
    view! {
        <label class="field grow">
            <span>{translate(name)}</span>
            <input
                inputmode="numeric"
                autocomplete="off"
                data-setting=key
                value=value.get_untracked()
                prop:value=value
                on:change=on_change
            />
            <span class="problem" role="alert">{problem}</span>
        </label>
    }
    .into_any()
}

/// The progress of a run, visible and announced, and the failure of the last one.
fn progress(comparison: Comparison) -> AnyView {
    let i18n = use_i18n();
    let status = optional_text(move || {
        let Some(RunProgress::Transports(progress)) = comparison.running.get() else {
            return None;
        };
        let locale = i18n.get_locale();
        let transport = progress
            .transport
            .map_or(text_key!(compare.documents) as TextKey, labels::name);
        let (done, of) = (progress.done.to_string(), progress.total.to_string());
        let values = [("way", transport(locale)), ("done", done.as_str()), ("of", of.as_str())];
        Some(fill(td_string!(locale, compare.progress), &values))
    });
    let (value, max) = (
        dynamic_text(move || match comparison.running.get() {
            Some(RunProgress::Transports(progress)) => progress.done.to_string(),
            _ => "0".to_owned(),
        }),
        dynamic_text(move || match comparison.running.get() {
            Some(RunProgress::Transports(progress)) => progress.total.to_string(),
            _ => "1".to_owned(),
        }),
    );
    let hidden = move || !matches!(comparison.running.get(), Some(RunProgress::Transports(_)));
    let problem = optional_text(move || {
        let failed = comparison.failed.get();
        failed.then(|| td_string!(i18n.get_locale(), compare.failed).to_owned())
    });
    view! {
        <progress class="progress" value=value max=max hidden=hidden aria-label=t!(compare.progress_label)></progress>
        <p class="hint" role="status">{status}</p>
        <p class="problem" role="alert">{problem}</p>
    }
    .into_any()
}
