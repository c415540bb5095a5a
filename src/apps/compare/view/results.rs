//! The results card: one table of all transports, and a chart and a paragraph for each.

use leptos::prelude::*;

use super::super::comparison::Comparison;
use super::super::findings::{fastest, lightest, rate};
use super::super::model::{BINS, Results, TransportResult, bin_end_us};
use super::super::table::{COLUMNS, cells, millis, tenths};
use super::chart::{byte_bar, histogram, per_message};
use super::labels;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        text::{TextKey, dynamic_view, fill, optional_text, text_key},
    },
};

#[component]
pub fn ResultsCard(comparison: Comparison) -> impl IntoView {
    let i18n = use_i18n();
    let notice = optional_text(move || {
        let locale = i18n.get_locale();
        let stopped = comparison
            .results
            .with(|shared| shared.results.as_ref().map(|results| results.stopped));
        let stopped = stopped?;
        let mut text = String::new();
        if comparison.is_from_link.get() {
            text.push_str(td_string!(locale, compare.somebodys));
        }
        if stopped {
            text.push(' ');
            text.push_str(td_string!(locale, compare.stopped));
        }
        Some(text).filter(|text| !text.is_empty())
    });
    let empty_hint = optional_text(move || {
        let is_empty = comparison.results.with(|shared| shared.results.is_none());
        is_empty.then(|| td_string!(i18n.get_locale(), compare.no_results).to_owned())
    });
    let content = dynamic_view(move || {
        let locale = i18n.get_locale();
        comparison
            .results
            .with(|shared| shared.results.as_ref().map(|results| results_view(results, locale)))
    });
    view! {
        <Card id="results" title=text_key!(compare.results)>
            <p class="results-notice">{notice}</p>
            <p class="hint">{empty_hint}</p>
            {content}
        </Card>
    }
    .into_any()
}

fn results_view(results: &Results, locale: Locale) -> AnyView {
    let settings = results.settings;
    let rate = match settings.rate {
        0 => td_string!(locale, compare.fast).to_owned(),
        rate => fill(td_string!(locale, compare.per_second), &[("rate", &rate.to_string())]),
    };
    let measured_with = fill(
        td_string!(locale, compare.measured_with),
        &[
            ("payload", &settings.payload.to_string()),
            ("count", &settings.count.to_string()),
            ("rate", &rate),
            ("in_flight", &settings.in_flight.to_string()),
        ],
    );
    let transports = results
        .transports
        .iter()
        .map(|result| transport_result(result, results, locale));
    view! {
        <p class="measurement-conditions">{measured_with}</p>
        {table(results, locale)}
        <p class="hint">{td_string!(locale, compare.counting)}</p>
        <div class="transport-results">{transports.collect_view()}</div>
    }
    .into_any()
}

fn table(results: &Results, locale: Locale) -> AnyView {
    let heading = labels::COLUMNS.map(|column| view! { <th scope="col">{column(locale)}</th> });
    let best = [
        fastest(results).map(|result| result.transport),
        lightest(results).map(|result| result.transport),
    ];
    let row = |result: &TransportResult| {
        let cells = cells(result, results.settings.payload);
        let cells = COLUMNS.iter().zip(cells);
        let cells = cells.map(|(column, cell)| view! { <td data-column=*column>{cell}</td> });
        view! {
            <tr data-transport=result.transport.name() class:best=best.contains(&Some(result.transport))>
                <th scope="row">{labels::name(result.transport)(locale)}</th>
                {cells.collect_view()}
            </tr>
        }
    };
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label=td_string!(locale, compare.table)>
            <table class="results-table">
                <thead><tr><th scope="col">{td_string!(locale, compare.column_way)}</th>{heading}</tr></thead>
                <tbody>{results.transports.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn transport_result(result: &TransportResult, results: &Results, locale: Locale) -> AnyView {
    let name: TextKey = labels::name(result.transport);
    let max_bytes = results
        .transports
        .iter()
        .filter(|result| result.latency.count > 0)
        .map(TransportResult::bytes_per_message)
        .fold(0.0, f64::max);
    let latency = &result.latency;
    let (p50, p99) = (millis(latency.p50), millis(latency.p99));
    let distribution = fill(
        td_string!(locale, compare.distribution),
        &[("way", name(locale)), ("p50", &p50), ("p99", &p99)],
    );
    let bytes = tenths(result.bytes_per_message());
    let bytes_label = fill(
        td_string!(locale, compare.bytes_label),
        &[("way", name(locale)), ("bytes", &bytes)],
    );
    let end = tenths(bin_end_us(BINS - 2) / 1000.0);
    view! {
        <article class="transport-result" data-transport=result.transport.name()>
            <h3>{name(locale)}</h3>
            {histogram(latency, distribution)}
            <p class="axis" aria-hidden="true"><span>"0.2 ms"</span><span>{format!("{end} ms")}</span></p>
            {byte_bar(per_message(result.bytes, latency.count), max_bytes, bytes_label)}
            <p>{paragraph(result, results, locale)}</p>
        </article>
    }
    .into_any()
}

/// The paragraph about a transport's results.
fn paragraph(result: &TransportResult, results: &Results, locale: Locale) -> String {
    let (rating, factor) = labels::rating(rate(result, results));
    let factor = tenths(factor);
    if result.latency.count == 0 {
        return rating(locale).to_owned();
    }
    let latency = &result.latency;
    let values = [
        ("p50", millis(latency.p50)),
        ("p99", millis(latency.p99)),
        ("rate", tenths(result.per_second())),
        ("bytes", tenths(result.bytes_per_message())),
        ("overhead", tenths(result.overhead(results.settings.payload) * 100.0)),
        ("opened", result.opened.to_string()),
        ("cpu", tenths(result.cpu_us_per_message())),
        ("factor", factor),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut text = fill(td_string!(locale, compare.paragraph_time), &values);
    for sentence in [
        if result.bytes_unknown {
            td_string!(locale, compare.paragraph_uncounted)
        } else {
            td_string!(locale, compare.paragraph_bytes)
        },
        rating(locale),
    ] {
        text.push(' ');
        text.push_str(&fill(sentence, &values));
    }
    text
}
