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
        words::{Words, fact, note, text, words},
    },
};

#[component]
pub fn RoundTrip(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let figures = Memo::new(move |_| session.figures());
    let values = Signal::derive(move || session.recent_round_trips());
    let figure = move |name: Words, key: &'static str, show: fn(&Figures) -> String| {
        fact(
            name,
            key,
            text(move || figures.with(|figures| figures.as_ref().map_or_else(|| "–".to_owned(), show))),
        )
    };
    let label = text(move || {
        let (name, median, max) = (
            t_string!(i18n, echo.chart),
            t_string!(i18n, echo.median),
            t_string!(i18n, echo.max),
        );
        figures.with(|figures| match figures {
            None => name.to_owned(),
            Some(of) => format!(
                "{name}: {median} {}, {max} {}",
                format::millis(of.median),
                format::millis(of.max)
            ),
        })
    });
    let hint = note(move || {
        figures
            .with(Option::is_none)
            .then(|| t_string!(i18n, echo.round_trip_none).to_owned())
    });
    view! {
        <dl class="figures">
            {figure(words!(echo.last), "last", |figures| format::millis(figures.last))}
            {figure(words!(echo.median), "median", |figures| format::millis(figures.median))}
            {figure(words!(echo.p95), "p95", |figures| format::millis(figures.p95))}
            {figure(words!(echo.max), "max", |figures| format::millis(figures.max))}
            {figure(words!(echo.count), "count", |figures| format::grouped(figures.count))}
        </dl>
        <LineChart values capacity=RoundTrips::RECENT label/>
        <p class="hint">{hint}</p>
    }
}
