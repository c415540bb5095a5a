//! The candles card: a symbol's candles and volumes, with a readout of one candle: the one under the pointer, or the one selected
//! with the slider by keyboard. Rising candles are hollow and falling ones filled, so colour is not needed.

use leptos::{ev::PointerEvent, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::Element;

use super::super::{
    drawing::{self, CandlePaths, ChartRange, HEIGHT, VOLUME_HEIGHT, WIDTH},
    wire::{Candle, Candles, Entry, Interval},
};
use super::{labels, quote_store::QuoteStore, times};
use crate::{
    i18n::*,
    ui::{
        card::Card,
        text::{dynamic_text, dynamic_view, fill, optional_text, t, text_key},
    },
};
use duplex_leptos::topic::UseTopic;

/// Number of time labels below the chart.
const TIME_LABELS: usize = 4;

#[derive(Clone, Copy)]
struct CandlesView {
    store: QuoteStore,
    entry: RwSignal<Entry>,
    interval: Memo<Interval>,
    candles: Memo<Vec<Candle>>,
    range: Memo<ChartRange>,
    /// The selected candle, by pointer or slider.
    selected: RwSignal<Option<usize>>,
}

#[component]
pub fn CandlesCard(
    store: QuoteStore,
    candles: UseTopic<Candles>,
    entry: RwSignal<Entry>,
    interval: Memo<Interval>,
) -> impl IntoView {
    let tick = Memo::new(move |_| entry.with(|entry| entry.tick.clone()));
    let shown = Memo::new(move |_| {
        let interval = interval.get();
        let old = candles.state.with(|chart| chart.candles(interval).clone());
        tick.with(|tick| drawing::with_latest_tick(old.into_iter(), interval, Some(tick)))
    });
    let view = CandlesView {
        store,
        entry,
        interval,
        candles: shown,
        range: Memo::new(move |_| shown.with(|candles| ChartRange::of_candles(candles))),
        selected: RwSignal::new(None),
    };
    let few = Memo::new(move |_| shown.with(Vec::len) < 2);
    let hint = dynamic_view(move || {
        few.get()
            .then(|| view! { <p class="hint">{t!(market.few_candles)}</p> }.into_any())
    });
    view! {
        <Card id="candles" title=text_key!(market.candles) class="wide">
            {readout(view)}
            <div class="chart-frame">
                {plot(view)}
                {price_labels(view)}
                {volumes(view)}
                {time_labels(view)}
            </div>
            {slider(view)}
            {hint}
        </Card>
    }
    .into_any()
}

fn candle_text(view: CandlesView, locale: Locale) -> Option<String> {
    let selected = view.selected.get();
    let local = view.store.use_local_time.get();
    let interval = view.interval.get();
    view.candles.with(|candles| {
        let candle = selected.and_then(|index| candles.get(index)).or(candles.last())?;
        let price = |price| view.entry.with_untracked(|entry| labels::price(&entry.listing, price));
        let volume = view
            .entry
            .with_untracked(|entry| labels::volume(&entry.listing, candle.volume));
        Some(fill(
            td_string!(locale, market.readout),
            &[
                ("time", &times::candle_time(candle.at, interval, local)),
                ("open", &price(candle.open)),
                ("high", &price(candle.high)),
                ("low", &price(candle.low)),
                ("close", &price(candle.close)),
                ("volume", &volume),
            ],
        ))
    })
}

fn readout(view: CandlesView) -> AnyView {
    let i18n = use_i18n();
    let line = optional_text(move || candle_text(view, i18n.get_locale()));
    view! { <p class="readout">{line}</p> }.into_any()
}

/// The paths of closed candles change only when a candle closes or the price range grows, so they are memoized separately.
fn plot(view: CandlesView) -> AnyView {
    let i18n = use_i18n();
    let closed = closed_paths(view);
    let newest = newest_path(view);
    let label = dynamic_text(move || {
        let locale = i18n.get_locale();
        let name = view.entry.with(|entry| labels::name(locale, &entry.listing));
        let interval = (labels::interval(view.interval.get()))(locale);
        let count = view.candles.with(Vec::len).to_string();
        fill(
            td_string!(locale, market.chart_label),
            &[("name", &name), ("interval", interval), ("count", &count)],
        )
    });
    let line = dynamic_view(move || {
        let index = view.selected.get()?;
        let x = drawing::slot_center(index, view.candles.with(Vec::len)).to_string();
        Some(view! { <line class="crosshair" x1=x.clone() x2=x y1="0" y2="300"/> }.into_any())
    });
    let grid = (0..=drawing::GRID_INTERVALS as i64).map(|line| {
        let y = (HEIGHT * line / drawing::GRID_INTERVALS as i64).to_string();
        view! { <line class="grid-line" x1="0" x2="900" y1=y.clone() y2=y/> }.into_any()
    });
    let path = |shapes: Memo<CandlePaths>, pick: fn(&CandlePaths) -> &String| {
        dynamic_text(move || shapes.with(|shapes| pick(shapes).clone()))
    };
    view! {
        <svg
            class="plot"
            viewBox="0 0 900 300"
            preserveAspectRatio="none"
            role="img"
            aria-label=label
            on:pointermove=move |event| select_at_pointer(view, &event)
            on:pointerdown=move |event| select_at_pointer(view, &event)
            on:pointerleave=move |_| view.selected.set(None)
        >
            {grid.collect::<Vec<_>>()}
            <path class="rise" d=path(closed, |shapes| &shapes.rise)/>
            <path class="fall" d=path(closed, |shapes| &shapes.fall)/>
            <g class="newest">
                <path class="rise" d=path(newest, |shapes| &shapes.rise)/>
                <path class="fall" d=path(newest, |shapes| &shapes.fall)/>
            </g>
            {line}
        </svg>
    }
    .into_any()
}

fn closed_paths(view: CandlesView) -> Memo<CandlePaths> {
    Memo::new(move |_| {
        let range = view.range.get();
        view.candles.with(|candles| match candles.split_last() {
            Some((_, closed)) => drawing::candle_paths(closed, 0, candles.len(), &range),
            None => CandlePaths::default(),
        })
    })
}

fn newest_path(view: CandlesView) -> Memo<CandlePaths> {
    Memo::new(move |_| {
        let range = view.range.get();
        view.candles.with(|candles| match candles.split_last() {
            Some((newest, closed)) => drawing::candle_paths(&[*newest], closed.len(), candles.len(), &range),
            None => CandlePaths::default(),
        })
    })
}

fn select_at_pointer(view: CandlesView, event: &PointerEvent) {
    let target = event
        .current_target()
        .and_then(|target| target.dyn_into::<Element>().ok());
    let Some(frame) = target.map(|target| target.get_bounding_client_rect()) else {
        return;
    };
    let fraction = (f64::from(event.client_x()) - frame.left()) / frame.width().max(1.0);
    let selected = drawing::candle_at(fraction, view.candles.with_untracked(Vec::len));
    if selected != view.selected.get_untracked() {
        view.selected.set(selected);
    }
}

/// Price labels of the grid lines, from the top.
fn price_labels(view: CandlesView) -> AnyView {
    let labels = move |line: usize| {
        let price = dynamic_text(move || {
            let price = view.range.get().grid_prices().get(line).copied().unwrap_or(0);
            view.entry.with_untracked(|entry| labels::price(&entry.listing, price))
        });
        view! { <span>{price}</span> }.into_any()
    };
    let lines: Vec<_> = (0..=drawing::GRID_INTERVALS as usize).map(labels).collect();
    view! { <div class="plot-prices" aria-hidden="true">{lines}</div> }.into_any()
}

fn volumes(view: CandlesView) -> AnyView {
    let shapes = Memo::new(move |_| {
        let range = view.range.get();
        view.candles
            .with(|candles| drawing::candle_paths(candles, 0, candles.len(), &range))
    });
    view! {
        <svg class="plot-volumes" viewBox="0 0 900 60" preserveAspectRatio="none" aria-hidden="true">
            <path class="rise" d=dynamic_text(move || shapes.with(|shapes| shapes.volume_rise.clone()))/>
            <path class="fall" d=dynamic_text(move || shapes.with(|shapes| shapes.volume_fall.clone()))/>
        </svg>
    }
    .into_any()
}

fn time_labels(view: CandlesView) -> AnyView {
    let label = move |index: usize| {
        let time = dynamic_text(move || {
            let (local, interval) = (view.store.use_local_time.get(), view.interval.get());
            view.candles.with(|candles| {
                let at = candles.get(candles.len().saturating_sub(1) * index / (TIME_LABELS - 1));
                at.map_or_else(String::new, |candle| times::candle_time(candle.at, interval, local))
            })
        });
        view! { <span>{time}</span> }.into_any()
    };
    let labels: Vec<_> = (0..TIME_LABELS).map(label).collect();
    let zone = dynamic_view(move || {
        (!view.store.use_local_time.get()).then(|| view! { <span class="time-zone">"UTC"</span> }.into_any())
    });
    view! { <div class="plot-times" aria-hidden="true">{labels}{zone}</div> }.into_any()
}

/// Selects candles by keyboard; the selected one is announced.
fn slider(view: CandlesView) -> AnyView {
    let i18n = use_i18n();
    let last = Memo::new(move |_| view.candles.with(|candles| candles.len().saturating_sub(1)));
    let value = dynamic_text(move || view.selected.get().unwrap_or(last.get()).to_string());
    let choose = move |event: leptos::ev::Event| {
        view.selected.set(event_target_value(&event).parse().ok());
    };
    view! {
        <label class="field script-only">
            <span>{t!(market.slider)}</span>
            <input
                type="range"
                class="slider"
                min="0"
                max=dynamic_text(move || last.get().to_string())
                prop:value=value
                aria-valuetext=optional_text(move || candle_text(view, i18n.get_locale()))
                on:input=choose
                on:blur=move |_| view.selected.set(None)
            />
        </label>
    }
    .into_any()
}

// The `viewBox` literals above must match these sizes.
const _: () = assert!(WIDTH == 900 && HEIGHT == 300 && VOLUME_HEIGHT == 60);
