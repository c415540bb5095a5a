//! A chart panel: the current values of its series, and a chart of the last ten minutes.

use leptos::prelude::*;

use crate::apps::status::model::Status;
use crate::i18n::*;
use crate::ui::card::Card;
use crate::ui::chart::multi_line_chart;
use crate::ui::format;
use crate::ui::text::{TextKey, dynamic_text, fill, t, translate};
use crate::wire::status::{RETAINED_SAMPLES, SAMPLE_SECONDS, Series};

/// The specification of a chart panel.
pub struct Panel {
    pub id: &'static str,
    pub title: TextKey,
    pub unit: Unit,
    /// The series, each with its `data-key` value and its name.
    pub lines: &'static [(Series, &'static str, TextKey)],
}

/// The unit of a sample's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    Bytes,
    /// A count per sample interval, shown per second.
    Rate,
    ByteRate,
    Micros,
}

impl Unit {
    fn format(self, value: u64, locale: Locale) -> String {
        let per_second = |value: &str| fill(td_string!(locale, status.per_second), &[("value", value)]);
        match self {
            Self::Count => format::grouped(value),
            Self::Bytes => format::bytes(value),
            Self::Rate => per_second(&format_quotient(value, SAMPLE_SECONDS)),
            Self::ByteRate => per_second(&format::bytes(value / SAMPLE_SECONDS)),
            Self::Micros if value == 0 => "–".to_owned(),
            Self::Micros => format::millis(locale, value as f64 / 1000.0),
        }
    }
}

/// `value / divisor`, with one decimal if it is not zero. Pure.
pub fn format_quotient(value: u64, divisor: u64) -> String {
    let tenths = value.saturating_mul(10) / divisor.max(1);
    let whole = format::grouped(tenths / 10);
    match tenths % 10 {
        0 => whole,
        tenth => [whole, tenth.to_string()].join("."),
    }
}

pub fn panel(state: ReadSignal<Status>, spec: &'static Panel) -> AnyView {
    let i18n = use_i18n();
    let peak = Memo::new(move |_| {
        let peak_of = |(series, ..): &(Series, _, _)| {
            state.with(|state| state.points.iter().map(|point| point.get(*series)).max().unwrap_or(0))
        };
        spec.lines.iter().map(peak_of).max().unwrap_or(0)
    });
    let value = move |series| {
        let now = Memo::new(move |_| state.with(|state| state.latest_value(series)));
        dynamic_text(move || spec.unit.format(now.get(), i18n.get_locale()))
    };
    let lines = Signal::derive(move || {
        state.with(|state| spec.lines.iter().map(|(series, ..)| state.history(*series)).collect())
    });
    let legend_entry = |(series, key, name): &'static (Series, &'static str, TextKey)| {
        view! {
            <div>
                <dt><span class="swatch" aria-hidden="true"></span>{translate(*name)}</dt>
                <dd data-key=*key>{value(*series)}</dd>
            </div>
        }
    };
    let legend = spec.lines.iter().map(legend_entry).collect_view();
    let peak_label = dynamic_text(move || {
        let (locale, peak) = (i18n.get_locale(), peak.get());
        let value = spec.unit.format(peak, locale);
        fill(td_string!(locale, status.peak), &[("value", &value)])
    });
    view! {
        <Card id=spec.id title=spec.title class="status-panel">
            <dl class="status-legend">{legend}</dl>
            <figure class="trend-figure">
                <figcaption class="trend-peak">{peak_label}</figcaption>
                {multi_line_chart(lines, RETAINED_SAMPLES, summary(state, spec, peak))}
                <p class="trend-times" aria-hidden="true"><span>{t!(status.minutes)}</span><span>{t!(status.now)}</span></p>
            </figure>
        </Card>
    }
    .into_any()
}

/// The text alternative of the chart.
fn summary(state: ReadSignal<Status>, spec: &'static Panel, peak: Memo<u64>) -> Signal<String> {
    let i18n = use_i18n();
    dynamic_text(move || {
        let locale = i18n.get_locale();
        let line = |(series, _, name): &(Series, &str, TextKey)| {
            let now = state.with(|state| state.latest_value(*series));
            [name(locale), &spec.unit.format(now, locale)].join(" ")
        };
        let values = spec.lines.iter().map(line).collect::<Vec<_>>().join(", ");
        let (title, peak) = ((spec.title)(locale), spec.unit.format(peak.get(), locale));
        let template = td_string!(locale, status.chart);
        fill(template, &[("title", title), ("values", &values), ("peak", &peak)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_formatted_in_their_unit() {
        let formatted = |unit: Unit, value| unit.format(value, Locale::en);
        assert_eq!(formatted(Unit::Count, 1_234), "1,234");
        assert_eq!(formatted(Unit::Rate, 3), "1.5/s");
        assert_eq!(formatted(Unit::Rate, 2_468), "1,234/s");
        assert_eq!(formatted(Unit::ByteRate, 2_000), "1,000 B/s");
        assert_eq!(formatted(Unit::Micros, 0), "–");
        assert_eq!(formatted(Unit::Micros, 1_500), "1.5 ms");
        assert_eq!(format_quotient(7, 0), "7");
    }
}
