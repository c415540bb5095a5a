//! The chart of the chosen metric's history: ranges, zoom, and a readout of the selected point.

use leptos::{
    ev::{KeyboardEvent, PointerEvent},
    html,
    prelude::*,
};

use super::{
    super::{
        history::{RESOLUTIONS, finest_resolution},
        wire::Millis,
    },
    chart::{HEIGHT, HistoryPlot, WIDTH, round_tenth},
    detail::DeviceContext,
    labels,
};
use crate::{
    i18n::*,
    ui::{
        format, keys,
        text::{TextKey, dynamic_text, dynamic_view, fill, optional_text, t, text_key, translate},
    },
};

const HOUR: Millis = 3_600_000;
const RANGES: [(Millis, TextKey); 4] = [
    (HOUR, text_key!(devices.hour)),
    (6 * HOUR, text_key!(devices.six_hours)),
    (24 * HOUR, text_key!(devices.day)),
    (168 * HOUR, text_key!(devices.week)),
];
/// The shortest span to zoom to: a few buckets of the finest resolution.
const MIN_SPAN: Millis = 5 * 60_000;
/// A drag over less than this fraction of the width is a click.
const MIN_DRAG: f64 = 0.02;

#[derive(Clone, Copy)]
struct HistoryView {
    cx: DeviceContext,
    range: RwSignal<Millis>,
    /// The zoomed span, instead of the newest `range`.
    zoom: RwSignal<Option<(Millis, Millis)>>,
    /// The index of the point in the readout.
    selected: RwSignal<Option<usize>>,
    /// The start and current position of a drag, as fractions of the width.
    drag: RwSignal<Option<(f64, f64)>>,
    chart: Memo<HistoryPlot>,
    area: NodeRef<html::Div>,
}

#[component]
pub fn History(cx: DeviceContext) -> impl IntoView {
    let (range, zoom) = (RwSignal::new(HOUR), RwSignal::new(None));
    let view = HistoryView {
        cx,
        range,
        zoom,
        selected: RwSignal::new(None),
        drag: RwSignal::new(None),
        chart: Memo::new(move |_| chart(cx, range.get(), zoom.get())),
        area: NodeRef::new(),
    };
    view! {
        <div class="row history-toolbar">
            {view.ranges()}
            {view.zoom_buttons()}
        </div>
        {view.chart_view()}
        {view.readout()}
    }
    .into_any()
}

/// The chart ends at the newest reading, independently of the visitor's clock.
fn chart(cx: DeviceContext, range: Millis, zoom: Option<(Millis, Millis)>) -> HistoryPlot {
    let name = cx.selected_metric().unwrap_or_default();
    cx.device.state.with(|device| {
        let newest = device.last_seen;
        let (from, to) = zoom.unwrap_or((newest.saturating_sub(range), newest));
        let metric = device.metrics.get(&name);
        let points = metric
            .map(|metric| metric.history.points(from, to, newest))
            .unwrap_or_default();
        let step = RESOLUTIONS
            .get(finest_resolution(newest.saturating_sub(from)))
            .map_or(1, |resolution| resolution.bucket_millis);
        HistoryPlot::new(points, (from, to), step, metric.and_then(|metric| metric.threshold))
    })
}

impl HistoryView {
    fn ranges(self) -> AnyView {
        let button = |(range, name): (Millis, TextKey)| {
            let pressed =
                dynamic_text(move || (self.range.get() == range && self.zoom.with(Option::is_none)).to_string());
            view! {
                <button type="button" data-range=(range / HOUR).to_string() aria-pressed=pressed on:click=move |_| self.select_range(range)>
                    {translate(name)}
                </button>
            }
        };
        view! {
            <div class="segmented-control script-only" role="group" aria-label=t!(devices.range)>
                {RANGES.map(button).into_iter().collect_view()}
            </div>
        }
        .into_any()
    }

    fn zoom_buttons(self) -> AnyView {
        let not_zoomed = move || self.zoom.with(Option::is_none);
        view! {
            <div class="row script-only">
                <button type="button" class="button small" data-zoom="in" aria-label=t!(devices.zoom_in) on:click=move |_| self.zoom_by(0.5)>"+"</button>
                <button type="button" class="button small" data-zoom="out" aria-label=t!(devices.zoom_out) on:click=move |_| self.zoom_by(2.0)>"−"</button>
                <button type="button" class="button small" data-zoom="reset" disabled=not_zoomed on:click=move |_| self.select_range(self.range.get_untracked())>
                    {t!(devices.zoom_reset)}
                </button>
            </div>
        }
        .into_any()
    }

    fn select_range(self, range: Millis) {
        self.range.set(range);
        self.zoom.set(None);
        self.selected.set(None);
    }

    /// Scales the visible span, around the selected point, or the centre.
    fn zoom_by(self, factor: f64) {
        let (from, to, middle) = self.chart.with_untracked(|chart| {
            let selected = self.selected.get_untracked().and_then(|index| chart.points.get(index));
            (
                chart.from,
                chart.to,
                selected.map_or(chart.time_at(0.5), |point| point.at),
            )
        });
        let longest = RANGES[3].0;
        let span = (((to - from) as f64 * factor) as Millis).clamp(MIN_SPAN, longest);
        let newest = self.cx.device.state.with_untracked(|device| device.last_seen);
        let to = middle.saturating_add(span / 2).min(newest);
        self.zoom.set(Some((to.saturating_sub(span), to)));
        self.selected.set(None);
    }

    fn chart_view(self) -> AnyView {
        let i18n = use_i18n();
        let chart = self.chart;
        let label = dynamic_text(move || {
            let name = self.cx.selected_metric().unwrap_or_default();
            labels::metric(i18n.get_locale(), &name)
        });
        let limits = dynamic_view(move || {
            let line = |y: &f64| {
                let (y, other) = (round_tenth(*y), round_tenth(*y));
                view! { <line class="chart-limit" x1="0" x2=WIDTH.to_string() y1=y y2=other vector-effect="non-scaling-stroke"/> }
            };
            Some(
                chart
                    .with(|chart| chart.threshold_ys.iter().map(line).collect_view())
                    .into_any(),
            )
        });
        let empty = optional_text(move || {
            let is_empty = chart.with(|chart| chart.points.is_empty());
            is_empty.then(|| t_string!(i18n, devices.no_history).to_owned())
        });
        view! {
            <div
                class="history"
                tabindex="0"
                role="group"
                aria-label=label
                aria-describedby="history-keys"
                node_ref=self.area
                on:keydown=move |event| self.on_key(&event)
                on:pointerdown=move |event| self.on_pointer_down(&event)
                on:pointermove=move |event| self.on_pointer_move(&event)
                on:pointerup=move |event| self.on_pointer_up(&event)
                on:pointerleave=move |_| { self.selected.set(None); self.drag.set(None); }
            >
                <svg class="history-chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" aria-hidden="true">
                    <path class="chart-band" d=dynamic_text(move || chart.with(|chart| chart.band.clone()))/>
                    <path class="chart-line" d=dynamic_text(move || chart.with(|chart| chart.line.clone())) vector-effect="non-scaling-stroke"/>
                    {limits}
                    {self.selection()}
                    {self.selected_line()}
                </svg>
                <span class="history-high" dir="ltr">{dynamic_text(move || chart.with(|chart| labels::axis_label(chart.high, (chart.low, chart.high))))}</span>
                <span class="history-low" dir="ltr">{dynamic_text(move || chart.with(|chart| labels::axis_label(chart.low, (chart.low, chart.high))))}</span>
                <span class="history-empty">{empty}</span>
            </div>
            <div class="history-times" aria-hidden="true">{self.time_axis()}</div>
            <p class="hint script-only" id="history-keys">{t!(devices.keys)}</p>
        }
        .into_any()
    }

    fn time_axis(self) -> AnyView {
        let i18n = use_i18n();
        let at = move |fraction: f64| {
            dynamic_text(move || {
                let (from, to, at) = self.chart.with(|chart| (chart.from, chart.to, chart.time_at(fraction)));
                self.cx.clock.time(i18n.get_locale(), at, to - from > 12 * HOUR)
            })
        };
        view! { <span>{at(0.0)}</span><span>{at(0.5)}</span><span>{at(1.0)}</span> }.into_any()
    }

    fn selection(self) -> AnyView {
        let shape = dynamic_view(move || {
            let (start, end) = self.drag.get()?;
            let (from, width) = (start.min(end) * WIDTH, (start - end).abs() * WIDTH);
            let drawn = view! { <rect class="chart-selection" x=round_tenth(from) y="0" width=round_tenth(width) height=HEIGHT.to_string()/> };
            Some(drawn.into_any())
        });
        shape.into_any()
    }

    fn selected_line(self) -> AnyView {
        let shape = dynamic_view(move || {
            let index = self.selected.get()?;
            let x = self.chart.with(|chart| Some(chart.x(chart.points.get(index)?.at)))?;
            let (x1, x2) = (round_tenth(x), round_tenth(x));
            let drawn = view! { <line class="chart-cursor" x1=x1 x2=x2 y1="0" y2=HEIGHT.to_string() vector-effect="non-scaling-stroke"/> };
            Some(drawn.into_any())
        });
        shape.into_any()
    }

    /// The values of the selected point, or of the newest one.
    fn readout(self) -> AnyView {
        let i18n = use_i18n();
        let readout = optional_text(move || {
            let locale = i18n.get_locale();
            let unit = self.cx.selected_metric().and_then(|name| {
                let device = self.cx.device.state;
                device.with(|device| device.metrics.get(&name).map(|metric| metric.unit.clone()))
            });
            let (point, shows_date) = self.chart.with(|chart| {
                let index = self.selected.get().unwrap_or(chart.points.len().saturating_sub(1));
                Some((*chart.points.get(index)?, chart.to - chart.from > 12 * HOUR))
            })?;
            let unit = unit.unwrap_or_default();
            let value = |value: f64| labels::value(value, &unit);
            let values = [
                ("time", self.cx.clock.time(locale, point.at, shows_date)),
                ("mean", labels::mean(point.mean, (point.min, point.max), &unit)),
                ("min", value(point.min)),
                ("max", value(point.max)),
                ("count", format::grouped(point.count.into())),
            ];
            let text = t_string!(i18n, devices.readout).to_owned();
            Some(
                values
                    .iter()
                    .fold(text, |text, (name, value)| fill(&text, &[(name, value)])),
            )
        });
        view! { <p class="history-readout" aria-live=dynamic_text(move || if self.selected.get().is_some() { "polite" } else { "off" }.to_owned())>{readout}</p> }
            .into_any()
    }

    /// The pointer's position as a fraction of the width.
    fn fraction_at(self, event: &PointerEvent) -> Option<f64> {
        let area = self.area.get_untracked()?.get_bounding_client_rect();
        let fraction = (f64::from(event.client_x()) - area.left()) / area.width();
        fraction.is_finite().then(|| fraction.clamp(0.0, 1.0))
    }

    fn on_pointer_down(self, event: &PointerEvent) {
        if let Some(fraction) = self.fraction_at(event) {
            self.drag.set(Some((fraction, fraction)));
        }
    }

    fn on_pointer_move(self, event: &PointerEvent) {
        let Some(fraction) = self.fraction_at(event) else {
            return;
        };
        if let Some((from, _)) = self.drag.get_untracked() {
            self.drag.set(Some((from, fraction)));
        }
        let nearest = self
            .chart
            .with_untracked(|chart| chart.nearest(chart.time_at(fraction)));
        if self.selected.get_untracked() != nearest {
            self.selected.set(nearest);
        }
    }

    fn on_pointer_up(self, event: &PointerEvent) {
        let dragged = self.drag.get_untracked();
        self.drag.set(None);
        let (Some((from, _)), Some(to)) = (dragged, self.fraction_at(event)) else {
            return;
        };
        if (to - from).abs() < MIN_DRAG {
            return;
        }
        let (from, to) = self
            .chart
            .with_untracked(|chart| (chart.time_at(from.min(to)), chart.time_at(from.max(to))));
        self.zoom.set(Some((from.min(to.saturating_sub(MIN_SPAN)), to)));
        self.selected.set(None);
    }

    fn on_key(self, event: &KeyboardEvent) {
        let last = self.chart.with_untracked(|chart| chart.points.len().saturating_sub(1));
        let now = self.selected.get_untracked().unwrap_or(last);
        let Some(key) = keys::key(event) else { return };
        match key.as_str() {
            "ArrowLeft" => self.selected.set(Some(now.saturating_sub(1))),
            "ArrowRight" => self.selected.set(Some((now + 1).min(last))),
            "Home" => self.selected.set(Some(0)),
            "End" => self.selected.set(Some(last)),
            "+" | "=" => self.zoom_by(0.5),
            "-" => self.zoom_by(2.0),
            "0" | "Escape" => self.select_range(self.range.get_untracked()),
            _ => return,
        }
        event.prevent_default();
    }
}
