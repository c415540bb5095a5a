//! Round-trip times: statistics and a live chart.

use leptos::prelude::*;

use super::super::{
    round_trips::{RoundTripStats, RoundTrips},
    state::EchoState,
};
use crate::{
    i18n::*,
    ui::{
        chart::LineChart,
        format,
        text::{TextKey, dynamic_text, labeled_value, optional_text, text_key},
    },
};

#[component]
pub fn RoundTrip(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let stats = Memo::new(move |_| echo.stats());
    let values = Signal::derive(move || echo.recent_round_trips());
    let value = move |name: TextKey, key: &'static str, format: fn(Locale, &RoundTripStats) -> String| {
        labeled_value(
            name,
            key,
            dynamic_text(move || {
                let locale = i18n.get_locale();
                stats.with(|stats| {
                    stats
                        .as_ref()
                        .map_or_else(|| "–".to_owned(), |stats| format(locale, stats))
                })
            }),
        )
    };
    let label = dynamic_text(move || {
        let (name, median, max) = (
            t_string!(i18n, echo.chart),
            t_string!(i18n, echo.median),
            t_string!(i18n, echo.max),
        );
        let locale = i18n.get_locale();
        stats.with(|stats| match stats {
            None => name.to_owned(),
            Some(stats) => format!(
                "{name}: {median} {}, {max} {}",
                format::millis(locale, stats.median),
                format::millis(locale, stats.max)
            ),
        })
    });
    let hint = optional_text(move || {
        stats
            .with(Option::is_none)
            .then(|| t_string!(i18n, echo.round_trip_none).to_owned())
    });
    view! {
        <dl class="stats">
            {value(text_key!(echo.last), "last", |locale, stats| format::millis(locale, stats.last))}
            {value(text_key!(echo.median), "median", |locale, stats| format::millis(locale, stats.median))}
            {value(text_key!(echo.p95), "p95", |locale, stats| format::millis(locale, stats.p95))}
            {value(text_key!(echo.max), "max", |locale, stats| format::millis(locale, stats.max))}
            {value(text_key!(echo.count), "count", |_, stats| format::grouped(stats.count))}
        </dl>
        <LineChart values capacity=RoundTrips::RECENT label/>
        <p class="hint">{hint}</p>
    }
}
