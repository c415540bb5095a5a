//! How long echoes take: figures and a live chart.

use leptos::prelude::*;

use super::super::{
    round_trips::{Figures, RoundTrips},
    session::Session,
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
pub fn RoundTrip(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let figures = Memo::new(move |_| session.figures());
    let values = Signal::derive(move || session.recent_round_trips());
    let figure = move |name: TextKey, key: &'static str, show: fn(Locale, &Figures) -> String| {
        labeled_value(
            name,
            key,
            dynamic_text(move || {
                let locale = i18n.get_locale();
                figures.with(|figures| {
                    figures
                        .as_ref()
                        .map_or_else(|| "–".to_owned(), |figures| show(locale, figures))
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
        figures.with(|figures| match figures {
            None => name.to_owned(),
            Some(of) => format!(
                "{name}: {median} {}, {max} {}",
                format::millis(locale, of.median),
                format::millis(locale, of.max)
            ),
        })
    });
    let hint = optional_text(move || {
        figures
            .with(Option::is_none)
            .then(|| t_string!(i18n, echo.round_trip_none).to_owned())
    });
    view! {
        <dl class="figures">
            {figure(text_key!(echo.last), "last", |locale, figures| format::millis(locale, figures.last))}
            {figure(text_key!(echo.median), "median", |locale, figures| format::millis(locale, figures.median))}
            {figure(text_key!(echo.p95), "p95", |locale, figures| format::millis(locale, figures.p95))}
            {figure(text_key!(echo.max), "max", |locale, figures| format::millis(locale, figures.max))}
            {figure(text_key!(echo.count), "count", |_, figures| format::grouped(figures.count))}
        </dl>
        <LineChart values capacity=RoundTrips::RECENT label/>
        <p class="hint">{hint}</p>
    }
}
