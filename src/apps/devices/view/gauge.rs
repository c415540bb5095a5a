//! One value as an arc of its scale. What has no scale is a number alone.

use leptos::prelude::*;

use super::{super::wire::Shown, chart::tenth, words};
use crate::i18n::*;

/// Three quarters of a circle around (50, 50), from the lower left to the lower right.
const ARC: &str = "M 21.7 78.3 A 40 40 0 1 1 78.3 78.3";

/// Characters of a number that fit into the arc.
const LONG: usize = 7;

pub fn gauge(locale: Locale, shown: &Shown) -> AnyView {
    let name = words::metric(locale, &shown.metric);
    let (number, unit) = (words::number(shown.value), shown.unit.clone());
    let arc = part_of_scale(shown.value, &shown.unit).map(|part| {
        let drawn = format!("{} 100", tenth(part * 100.0));
        view! {
            <path class="gauge-scale" d=ARC/>
            <path class="gauge-value" d=ARC pathLength="100" stroke-dasharray=drawn/>
        }
    });
    let alarm = shown.alarm.to_string();
    let is_long = (number.chars().count() > LONG).to_string();
    view! {
        <div class="gauge" data-alarm=alarm data-long=is_long>
            <svg viewBox="0 0 100 90" aria-hidden="true">{arc}</svg>
            <span class="gauge-number" dir="ltr">{number}" "<small>{unit}</small></span>
            <span class="gauge-name">{name}</span>
        </div>
    }
    .into_any()
}

/// Where on its unit's usual scale a value stands, from 0 to 1.
fn part_of_scale(value: f64, unit: &str) -> Option<f64> {
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
    fn a_value_has_its_place_on_the_scale_of_its_unit() {
        assert_eq!(part_of_scale(25.0, "%"), Some(0.25));
        assert_eq!(part_of_scale(20.0, "°C"), Some(0.5));
        assert_eq!(part_of_scale(1e9, "%"), Some(1.0));
        assert_eq!(part_of_scale(1.0, "kB/s"), None);
    }
}
