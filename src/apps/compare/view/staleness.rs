//! The staleness card: compares push with polling by delay and bytes.

use leptos::prelude::*;

use super::super::comparison::{Comparison, RunProgress};
use super::super::findings::{Cheaper, polling};
use super::super::model::{Staleness, Watcher};
use super::super::table::{STALENESS_COLUMNS, millis, staleness_cells};
use super::labels;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        text::{dynamic_text, dynamic_view, fill, optional_text, t, text_key},
    },
};

#[component]
pub fn StalenessCard(comparison: Comparison) -> impl IntoView {
    let i18n = use_i18n();
    let second = move || match comparison.running.get() {
        Some(RunProgress::Staleness(second)) => Some(second),
        _ => None,
    };
    let progress = optional_text(move || {
        let (second, of) = (second()?.to_string(), Watcher::SECONDS.to_string());
        let values = [("second", second.as_str()), ("of", of.as_str())];
        Some(fill(td_string!(i18n.get_locale(), compare.stale_progress), &values))
    });
    let value = dynamic_text(move || second().unwrap_or_default().to_string());
    let busy = Signal::derive(move || comparison.running.with(Option::is_some));
    let content = dynamic_view(move || {
        let locale = i18n.get_locale();
        comparison.results.with(|shared| {
            shared
                .staleness
                .as_ref()
                .map(|staleness| results_view(staleness, locale))
        })
    });
    view! {
        <Card id="stale" title=text_key!(compare.stale)>
            <p>{t!(compare.stale_text)}</p>
            <div class="row">
                <button class="button primary" data-action="measure-staleness" disabled=busy on:click=move |_| comparison.measure_staleness()>
                    {t!(compare.watch)}
                </button>
                <button class="button" data-action="stop-staleness" disabled=move || second().is_none() on:click=move |_| comparison.stop()>
                    {t!(compare.stop)}
                </button>
            </div>
            <progress
                class="progress"
                value=value
                max=Watcher::SECONDS.to_string()
                hidden=move || second().is_none()
                aria-label=t!(compare.progress_label)
            ></progress>
            <p class="hint" role="status">{progress}</p>
            {content}
        </Card>
    }
    .into_any()
}

fn results_view(staleness: &Staleness, locale: Locale) -> AnyView {
    let (seconds, changes) = (staleness.seconds.to_string(), staleness.changes.to_string());
    let values = [("seconds", seconds.as_str()), ("changes", changes.as_str())];
    let heading = labels::STALENESS_COLUMNS.map(|column| view! { <th scope="col">{column(locale)}</th> });
    let row = |watcher: &Watcher| {
        let cells = STALENESS_COLUMNS.iter().zip(staleness_cells(staleness, *watcher)?);
        let cells = cells.map(|(column, cell)| view! { <td data-column=*column>{cell}</td> });
        Some(view! {
            <tr data-watcher=watcher.name()>
                <th scope="row">{name(*watcher, locale)}</th>
                {cells.collect_view()}
            </tr>
        })
    };
    let paragraphs = Watcher::ALL
        .iter()
        .filter_map(|watcher| paragraph(staleness, *watcher, locale));
    view! {
        <p class="measurement-conditions">{fill(td_string!(locale, compare.stale_measured), &values)}</p>
        <div class="table-scroll" tabindex="0" role="region" aria-label=td_string!(locale, compare.stale_table)>
            <table class="results-table">
                <thead><tr><th scope="col">{td_string!(locale, compare.column_way)}</th>{heading}</tr></thead>
                <tbody>{Watcher::ALL.iter().filter_map(row).collect_view()}</tbody>
            </table>
        </div>
        {paragraphs.map(|text| view! { <p>{text}</p> }).collect_view()}
    }
    .into_any()
}

fn name(watcher: Watcher, locale: Locale) -> String {
    match watcher {
        Watcher::Push => td_string!(locale, compare.pushed).to_owned(),
        Watcher::Poll(seconds) => fill(td_string!(locale, compare.polled), &[("seconds", &seconds.to_string())]),
    }
}

fn paragraph(staleness: &Staleness, watcher: Watcher, locale: Locale) -> Option<String> {
    let Watcher::Poll(seconds) = watcher else { return None };
    let found = polling(staleness, seconds)?;
    let sentence = match found.cheaper {
        Cheaper::WebSocket => td_string!(locale, compare.poll_heavier),
        Cheaper::Similar => td_string!(locale, compare.poll_alike),
        Cheaper::Http => td_string!(locale, compare.poll_lighter),
    };
    let values = [
        ("seconds", found.seconds.to_string()),
        ("late", millis(found.poll_delay_us)),
        ("pushed", millis(found.push_delay_us)),
        ("missed", found.missed.to_string()),
        ("requests", found.requests.to_string()),
        ("bytes", format::bytes(found.bytes)),
        ("pushed_bytes", format::bytes(found.push_bytes)),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    Some(fill(sentence, &values))
}
