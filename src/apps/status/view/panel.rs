//! One chart: what its lines are now, and how they went in the last ten minutes.

use leptos::prelude::*;

use crate::apps::status::model::Status;
use crate::i18n::*;
use crate::ui::card::Card;
use crate::ui::chart::trend;
use crate::ui::format;
use crate::ui::text::{TextKey, dynamic_text, fill, t, translate};
use crate::wire::status::{RETAINED_SAMPLES, SAMPLE_SECONDS, Series};

pub struct Panel {
    pub id: &'static str,
    pub title: TextKey,
    pub unit: Unit,
    /// Each with its key for tests and its name.
    pub lines: &'static [(Series, &'static str, TextKey)],
}

/// What a value of a sample means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Level,
    Bytes,
    /// So many since the sample before.
    Rate,
    ByteRate,
    Micros,
}

impl Unit {
    fn written(self, value: u64, locale: Locale) -> String {
        let per_second = |value: &str| fill(td_string!(locale, status.per_second), &[("value", value)]);
        match self {
            Self::Level => format::grouped(value),
            Self::Bytes => format::bytes(value),
            Self::Rate => per_second(&tenths(value, SAMPLE_SECONDS)),
            Self::ByteRate => per_second(&format::bytes(value / SAMPLE_SECONDS)),
            Self::Micros if value == 0 => "–".to_owned(),
            Self::Micros => format::millis(locale, value as f64 / 1000.0),
        }
    }
}

/// `value / parts` with a tenth where there is one. Pure.
pub fn tenths(value: u64, parts: u64) -> String {
    let tenths = value.saturating_mul(10) / parts.max(1);
    let whole = format::grouped(tenths / 10);
    match tenths % 10 {
        0 => whole,
        tenth => [whole, tenth.to_string()].join("."),
    }
}

pub fn panel(state: ReadSignal<Status>, shown: &'static Panel) -> AnyView {
    let i18n = use_i18n();
    let peak = Memo::new(move |_| {
        let of = |(series, ..): &(Series, _, _)| {
            state.with(|state| state.points.iter().map(|point| point.get(*series)).max().unwrap_or(0))
        };
        shown.lines.iter().map(of).max().unwrap_or(0)
    });
    let value = move |series| {
        let now = Memo::new(move |_| state.with(|state| state.newest(series)));
        dynamic_text(move || shown.unit.written(now.get(), i18n.get_locale()))
    };
    let lines = Signal::derive(move || {
        state.with(|state| shown.lines.iter().map(|(series, ..)| state.values(*series)).collect())
    });
    let key = |(series, key, name): &'static (Series, &'static str, TextKey)| {
        view! {
            <div>
                <dt><span class="swatch" aria-hidden="true"></span>{translate(*name)}</dt>
                <dd data-fact=*key>{value(*series)}</dd>
            </div>
        }
    };
    let keys = shown.lines.iter().map(key).collect_view();
    let most = dynamic_text(move || {
        let (locale, peak) = (i18n.get_locale(), peak.get());
        let value = shown.unit.written(peak, locale);
        fill(td_string!(locale, status.peak), &[("value", &value)])
    });
    view! {
        <Card id=shown.id title=shown.title class="status-panel">
            <dl class="status-keys">{keys}</dl>
            <figure class="trend-figure">
                <figcaption class="trend-peak">{most}</figcaption>
                {trend(lines, RETAINED_SAMPLES, summary(state, shown, peak))}
                <p class="trend-times" aria-hidden="true"><span>{t!(status.minutes)}</span><span>{t!(status.now)}</span></p>
            </figure>
        </Card>
    }
    .into_any()
}

/// What the chart shows, for who does not see it.
fn summary(state: ReadSignal<Status>, shown: &'static Panel, peak: Memo<u64>) -> Signal<String> {
    let i18n = use_i18n();
    dynamic_text(move || {
        let locale = i18n.get_locale();
        let line = |(series, _, name): &(Series, &str, TextKey)| {
            let now = state.with(|state| state.newest(*series));
            [name(locale), &shown.unit.written(now, locale)].join(" ")
        };
        let values = shown.lines.iter().map(line).collect::<Vec<_>>().join(", ");
        let (title, peak) = ((shown.title)(locale), shown.unit.written(peak.get(), locale));
        let words = td_string!(locale, status.chart);
        fill(words, &[("title", title), ("values", &values), ("peak", &peak)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_in_their_unit() {
        let written = |unit: Unit, value| unit.written(value, Locale::en);
        assert_eq!(written(Unit::Level, 1_234), "1,234");
        assert_eq!(written(Unit::Rate, 3), "1.5/s");
        assert_eq!(written(Unit::Rate, 2_468), "1,234/s");
        assert_eq!(written(Unit::ByteRate, 2_000), "1,000 B/s");
        assert_eq!(written(Unit::Micros, 0), "–");
        assert_eq!(written(Unit::Micros, 1_500), "1.5 ms");
        assert_eq!(tenths(7, 0), "7");
    }
}
