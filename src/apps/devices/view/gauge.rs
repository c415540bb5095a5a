//! A gauge: one value as an arc on its unit's scale, or as a number alone if the unit has no scale.

use leptos::prelude::*;

use super::{super::wire::CurrentValue, chart::round_tenth, labels};
use crate::i18n::*;

/// Three quarters of a circle around (50, 50), from the lower left to the lower right.
const ARC: &str = "M 21.7 78.3 A 40 40 0 1 1 78.3 78.3";

/// Maximum characters of a number that fits into the arc.
const MAX_SHORT_CHARS: usize = 7;

pub fn gauge(locale: Locale, current: &CurrentValue) -> AnyView {
    let name = labels::metric(locale, &current.metric);
    let (number, unit) = (labels::number(current.value), current.unit.clone());
    let arc = scale_fraction(current.value, &current.unit).map(|fraction| {
        let dashes = format!("{} 100", round_tenth(fraction * 100.0));
        view! {
            <path class="gauge-track" d=ARC/>
            <path class="gauge-value" d=ARC pathLength="100" stroke-dasharray=dashes/>
        }
    });
    let alarm = current.alarm.to_string();
    let is_long = (number.chars().count() > MAX_SHORT_CHARS).to_string();
    view! {
        <div class="gauge" data-alarm=alarm data-long=is_long>
            <svg viewBox="0 0 100 90" aria-hidden="true">{arc}</svg>
            <span class="gauge-number" dir="ltr">{number}" "<small>{unit}</small></span>
            <span class="gauge-name">{name}</span>
        </div>
    }
    .into_any()
}

/// The position of a value on its unit's usual scale, from 0 to 1.
fn scale_fraction(value: f64, unit: &str) -> Option<f64> {
    let (low, high) = match unit {
        "%" => (0.0, 100.0),
        "°C" => (-10.0, 50.0),
        "mm/s" => (0.0, 10.0),
        "Mbit/s" => (0.0, 10.0),
        _ => return None,
    };
    Some(((value - low) / (high - low)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_positioned_on_its_units_scale() {
        assert_eq!(scale_fraction(25.0, "%"), Some(0.25));
        assert_eq!(scale_fraction(20.0, "°C"), Some(0.5));
        assert_eq!(scale_fraction(1e9, "%"), Some(1.0));
        assert_eq!(scale_fraction(1.0, "kB/s"), None);
    }
}
