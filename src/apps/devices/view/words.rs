//! Metrics, values, states and refusals in the visitor's language.

use super::super::{
    model::Metric,
    wire::{Health, MAX_ARGUMENT, MAX_METRICS, MAX_WAITING, Outcome, Side, THIS_SERVER, why},
};
use crate::{
    i18n::*,
    ui::{
        standing::LOOK_FIRST,
        words::{Words, fill, words},
    },
    wire::{number, text::isolated},
};
use duplex_leptos::topic::TopicStatus;
use duplex_protocol::session::{Denied, Rejection};

/// What a device is called; one that does not say goes by its id.
pub fn device(locale: Locale, id: &str, name: &str) -> String {
    match (name, id) {
        ("", THIS_SERVER) => td_string!(locale, devices.this_server).to_owned(),
        ("", id) => id.to_owned(),
        (name, _) => isolated(name).into_owned(),
    }
}

/// The name of what is measured; what nobody translated says its own.
pub fn metric(locale: Locale, name: &str) -> String {
    let words: Words = match name {
        "temperature" => words!(devices.temperature),
        "humidity" => words!(devices.humidity),
        "vibration" => words!(devices.vibration),
        "battery" => words!(devices.battery),
        "charging" => words!(devices.charging),
        "cpu" => words!(devices.cpu),
        "memory" => words!(devices.memory),
        "load" => words!(devices.load),
        "disk" => words!(devices.disk),
        "net_in" => words!(devices.net_in),
        "net_out" => words!(devices.net_out),
        "round_trip" => words!(devices.round_trip),
        "downlink" => words!(devices.downlink),
        other => return other.to_owned(),
    };
    words(locale).to_owned()
}

/// Digits of a value, as the server keeps it: what a float adds beyond is none of the device's.
const DIGITS: i32 = 15;

/// All digits of a value.
pub fn number(value: f64) -> String {
    number::rounded(value, DIGITS)
}

pub fn value(value: f64, unit: &str) -> String {
    measured(number(value), unit)
}

/// A mean of values between two others: with one digit more than they have.
pub fn mean(mean: f64, (least, most): (f64, f64), unit: &str) -> String {
    let decimals = number::decimals(least).max(number::decimals(most)) + 1;
    measured(number::rounded(mean, number::exponent(mean) + 1 + decimals), unit)
}

/// An end of an axis, with the digits that tell it from the other end.
pub fn axis(end: f64, (low, high): (f64, f64)) -> String {
    number::rounded(end, number::exponent(end) - number::exponent(high - low) + 3)
}

fn measured(number: String, unit: &str) -> String {
    match unit {
        "" => number,
        "%" => number + "%",
        unit => number + " " + &isolated(unit),
    }
}

pub fn of(metric: &Metric) -> String {
    value(metric.value, &metric.unit)
}

pub fn health(health: Health) -> (&'static str, Words) {
    match health {
        Health::Online => ("online", words!(devices.online)),
        Health::Late => ("late", words!(devices.late)),
        Health::Offline => ("offline", words!(devices.offline)),
    }
}

pub fn outcome(outcome: Outcome) -> (&'static str, Words) {
    match outcome {
        Outcome::Sent => ("sent", words!(devices.sent)),
        Outcome::Acknowledged => ("acknowledged", words!(devices.answered)),
        Outcome::Failed => ("failed", words!(devices.failed)),
        Outcome::TimedOut => ("timed_out", words!(devices.timed_out)),
    }
}

pub fn side(side: Side) -> Words {
    match side {
        Side::Low => words!(devices.below),
        Side::High => words!(devices.above),
    }
}

pub fn rejection(locale: Locale, rejection: &Rejection) -> String {
    let words: Words = match rejection {
        refused if refused.role_needed().is_some() => words!(devices.operators_only),
        Rejection::Refused { why } => return refusal(locale, why),
        Rejection::Denied(reason) => denied(*reason),
        Rejection::TooFast { .. } => words!(devices.too_fast),
        Rejection::TooLarge => words!(devices.bad_argument),
        Rejection::Malformed { .. } => words!(devices.malformed),
        Rejection::StorageFull | Rejection::Unavailable => words!(devices.unavailable),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => LOOK_FIRST,
    };
    filled(words(locale))
}

/// Why a reading or a command does not count.
pub fn refusal(locale: Locale, word: &str) -> String {
    let words: Words = match word {
        why::NOT_A_NUMBER => words!(devices.not_a_number),
        why::TOO_LARGE => words!(devices.too_large),
        why::IN_FUTURE => words!(devices.in_future),
        why::TOO_OLD => words!(devices.too_old),
        why::BAD_METRIC => words!(devices.bad_metric),
        why::METRICS_FULL => words!(devices.metrics_full),
        why::OTHER_UNIT => words!(devices.other_unit),
        why::BAD_TIME => words!(devices.bad_time),
        why::BAD_EVERY => words!(devices.bad_every),
        why::NOT_A_TEXT => words!(devices.not_a_text),
        why::BAD_NUMBER => words!(number.wrong),
        why::UNREADABLE => words!(devices.unreadable),
        why::TOO_LONG => words!(devices.too_long),
        why::TOO_MANY_READINGS => words!(devices.too_many_readings),
        why::NO_METRIC => words!(devices.no_metric),
        why::BAD_THRESHOLD => words!(devices.bad_threshold),
        why::NO_ALARM => words!(devices.no_alarm),
        why::BAD_ORDER => words!(devices.bad_order),
        why::BAD_ARGUMENT => words!(devices.bad_argument),
        why::ORDERS_WAITING => words!(devices.orders_waiting),
        why::NOT_HEARD => words!(devices.not_heard),
        _ => words!(devices.refused),
    };
    filled(words(locale))
}

fn filled(text: &str) -> String {
    let values = [
        ("metrics", MAX_METRICS.to_string()),
        ("argument", MAX_ARGUMENT.to_string()),
        ("waiting", MAX_WAITING.to_string()),
    ];
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| fill(&text, &[(name, value)]))
}

fn denied(reason: Denied) -> Words {
    match reason {
        Denied::Unknown => words!(devices.missing),
        Denied::Forbidden => words!(devices.forbidden),
        Denied::TooMany => words!(devices.too_many),
        Denied::Unavailable | Denied::Full => words!(devices.unavailable),
    }
}

/// How what is shown stands, in one word for style sheets and tests, and in the visitor's.
pub fn status(status: TopicStatus) -> (&'static str, Words) {
    match status {
        TopicStatus::Loading => ("loading", words!(devices.loading)),
        TopicStatus::Live => ("live", words!(devices.live)),
        TopicStatus::Resuming => ("resuming", words!(devices.resuming)),
        TopicStatus::Waiting => ("waiting", words!(devices.waiting)),
        TopicStatus::Denied(reason) => ("denied", denied(reason)),
        TopicStatus::Outdated => ("outdated", words!(devices.outdated)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_digits_and_their_unit() {
        assert_eq!([value(5.0, ""), value(5.0, "%"), value(5.0, "°C")], ["5", "5%", "5 °C"]);
        assert_eq!(
            [-0.001, 1.236, 1234.5, 1e-9].map(|number| value(number, "")),
            ["-0.001", "1.236", "1234.5", "1e-9"]
        );
    }

    #[test]
    fn means_and_axes_have_the_digits_that_tell_them_apart() {
        assert_eq!(mean(21.463_75, (21.4, 21.5), "°C"), "21.46 °C");
        assert_eq!(mean(0.000_123, (0.000_123, 0.000_123), ""), "0.000123");
        assert_eq!(mean(0.001, (-1.0, 1.0), ""), "0.001");
        assert_eq!(
            mean(123_456_789.123, (123_456_789.123, 123_456_789.123), ""),
            "123456789.123"
        );
        let ends = (1_000_000.001, 1_000_000.004);
        assert_ne!(axis(ends.0, ends), axis(ends.1, ends));
        assert_eq!([0.0, 1e-9].map(|end| axis(end, (0.0, 1e-9))), ["0", "1e-9"]);
    }
}
