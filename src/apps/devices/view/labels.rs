//! Localized labels for metrics, values, states and rejections.

use super::super::{
    model::Metric,
    wire::{HOST_ID, Health, LimitKind, MAX_ARGUMENT, MAX_METRICS, MAX_PENDING_PER_DEVICE, OrderStatus, reason_code},
};
use crate::{
    i18n::*,
    ui::{
        command_text::OUTCOME_UNKNOWN,
        text::{TextKey, fill, text_key},
    },
    wire::{number, text::isolated},
};
use duplex_leptos::topic::TopicStatus;
use duplex_protocol::session::{Denial, Rejection};

/// A device's display name: its announced name, or its id.
pub fn device(locale: Locale, id: &str, name: &str) -> String {
    match (name, id) {
        ("", HOST_ID) => td_string!(locale, devices.this_server).to_owned(),
        ("", id) => id.to_owned(),
        (name, _) => isolated(name).into_owned(),
    }
}

/// A metric's translated name; an unknown metric's own name.
pub fn metric(locale: Locale, name: &str) -> String {
    let key: TextKey = match name {
        "temperature" => text_key!(devices.temperature),
        "humidity" => text_key!(devices.humidity),
        "vibration" => text_key!(devices.vibration),
        "battery" => text_key!(devices.battery),
        "charging" => text_key!(devices.charging),
        "cpu" => text_key!(devices.cpu),
        "memory" => text_key!(devices.memory),
        "load" => text_key!(devices.load),
        "disk" => text_key!(devices.disk),
        "net_in" => text_key!(devices.net_in),
        "net_out" => text_key!(devices.net_out),
        "round_trip" => text_key!(devices.round_trip),
        "downlink" => text_key!(devices.downlink),
        other => return other.to_owned(),
    };
    key(locale).to_owned()
}

/// The server rounds values to this many significant digits.
const DIGITS: i32 = 15;

/// All digits of a value.
pub fn number(value: f64) -> String {
    number::rounded(value, DIGITS)
}

pub fn value(value: f64, unit: &str) -> String {
    with_unit(number(value), unit)
}

/// Formats a mean with one decimal more than its bucket's minimum and maximum have.
pub fn mean(mean: f64, (min, max): (f64, f64), unit: &str) -> String {
    let decimals = number::decimal_places(min).max(number::decimal_places(max)) + 1;
    with_unit(
        number::rounded(mean, number::decimal_exponent(mean) + 1 + decimals),
        unit,
    )
}

/// Formats an axis limit with enough digits to tell it from the other limit.
pub fn axis_label(value: f64, (low, high): (f64, f64)) -> String {
    number::rounded(
        value,
        number::decimal_exponent(value) - number::decimal_exponent(high - low) + 3,
    )
}

fn with_unit(number: String, unit: &str) -> String {
    match unit {
        "" => number,
        "%" => number + "%",
        unit => number + " " + &isolated(unit),
    }
}

pub fn current_value(metric: &Metric) -> String {
    value(metric.value, &metric.unit)
}

pub fn health(health: Health) -> (&'static str, TextKey) {
    match health {
        Health::Online => ("online", text_key!(devices.online)),
        Health::Late => ("late", text_key!(devices.late)),
        Health::Offline => ("offline", text_key!(devices.offline)),
    }
}

pub fn outcome(outcome: OrderStatus) -> (&'static str, TextKey) {
    match outcome {
        OrderStatus::Sent => ("sent", text_key!(devices.sent)),
        OrderStatus::Acknowledged => ("acknowledged", text_key!(devices.answered)),
        OrderStatus::Failed => ("failed", text_key!(devices.failed)),
        OrderStatus::TimedOut => ("timed_out", text_key!(devices.timed_out)),
    }
}

pub fn limit_kind(limit_kind: LimitKind) -> TextKey {
    match limit_kind {
        LimitKind::Low => text_key!(devices.below),
        LimitKind::High => text_key!(devices.above),
    }
}

pub fn rejection(locale: Locale, rejection: &Rejection) -> String {
    let key: TextKey = match rejection {
        rejection if rejection.as_missing_role().is_some() => text_key!(devices.operators_only),
        Rejection::Custom { reason: why } => return reason_text(locale, why),
        Rejection::Denied(reason) => denial(*reason),
        Rejection::TooFast { .. } => text_key!(devices.too_fast),
        Rejection::TooLarge => text_key!(devices.bad_argument),
        Rejection::Malformed { .. } => text_key!(devices.malformed),
        Rejection::StorageFull | Rejection::Unavailable => text_key!(devices.unavailable),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => OUTCOME_UNKNOWN,
    };
    fill_limits(key(locale))
}

/// The text of a reason code.
pub fn reason_text(locale: Locale, reason: &str) -> String {
    let key: TextKey = match reason {
        reason_code::NOT_A_NUMBER => text_key!(devices.not_a_number),
        reason_code::TOO_LARGE => text_key!(devices.too_large),
        reason_code::IN_FUTURE => text_key!(devices.in_future),
        reason_code::TOO_OLD => text_key!(devices.too_old),
        reason_code::BAD_METRIC => text_key!(devices.bad_metric),
        reason_code::METRICS_FULL => text_key!(devices.metrics_full),
        reason_code::OTHER_UNIT => text_key!(devices.other_unit),
        reason_code::BAD_TIME => text_key!(devices.bad_time),
        reason_code::BAD_EVERY => text_key!(devices.bad_every),
        reason_code::NOT_A_TEXT => text_key!(devices.not_a_text),
        reason_code::BAD_NUMBER => text_key!(number.wrong),
        reason_code::UNREADABLE => text_key!(devices.unreadable),
        reason_code::TOO_LONG => text_key!(devices.too_long),
        reason_code::TOO_MANY_READINGS => text_key!(devices.too_many_readings),
        reason_code::NO_METRIC => text_key!(devices.no_metric),
        reason_code::BAD_THRESHOLD => text_key!(devices.bad_threshold),
        reason_code::NO_ALARM => text_key!(devices.no_alarm),
        reason_code::BAD_ORDER => text_key!(devices.bad_order),
        reason_code::BAD_ARGUMENT => text_key!(devices.bad_argument),
        reason_code::TOO_MANY_PENDING => text_key!(devices.orders_waiting),
        reason_code::NEVER_SEEN => text_key!(devices.not_heard),
        _ => text_key!(devices.rejected_other),
    };
    fill_limits(key(locale))
}

fn fill_limits(text: &str) -> String {
    let values = [
        ("metrics", MAX_METRICS.to_string()),
        ("argument", MAX_ARGUMENT.to_string()),
        ("waiting", MAX_PENDING_PER_DEVICE.to_string()),
    ];
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| fill(&text, &[(name, value)]))
}

fn denial(reason: Denial) -> TextKey {
    match reason {
        Denial::Unknown => text_key!(devices.missing),
        Denial::Forbidden => text_key!(devices.forbidden),
        Denial::TooMany => text_key!(devices.too_many),
        Denial::Unavailable | Denial::Full => text_key!(devices.unavailable),
    }
}

/// The subscription's status, as a keyword for style sheets and tests, and as text.
pub fn status(status: TopicStatus) -> (&'static str, TextKey) {
    match status {
        TopicStatus::Loading => ("loading", text_key!(devices.loading)),
        TopicStatus::Live => ("live", text_key!(devices.live)),
        TopicStatus::Resuming => ("resuming", text_key!(devices.resuming)),
        TopicStatus::Waiting => ("waiting", text_key!(devices.waiting)),
        TopicStatus::Denied(reason) => ("denied", denial(reason)),
        TopicStatus::Outdated => ("outdated", text_key!(devices.outdated)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_all_digits_and_their_unit() {
        assert_eq!([value(5.0, ""), value(5.0, "%"), value(5.0, "°C")], ["5", "5%", "5 °C"]);
        assert_eq!(
            [-0.001, 1.236, 1234.5, 1e-9].map(|number| value(number, "")),
            ["-0.001", "1.236", "1234.5", "1e-9"]
        );
    }

    #[test]
    fn means_and_axes_have_enough_digits() {
        assert_eq!(mean(21.463_75, (21.4, 21.5), "°C"), "21.46 °C");
        assert_eq!(mean(0.000_123, (0.000_123, 0.000_123), ""), "0.000123");
        assert_eq!(mean(0.001, (-1.0, 1.0), ""), "0.001");
        assert_eq!(
            mean(123_456_789.123, (123_456_789.123, 123_456_789.123), ""),
            "123456789.123"
        );
        let ends = (1_000_000.001, 1_000_000.004);
        assert_ne!(axis_label(ends.0, ends), axis_label(ends.1, ends));
        assert_eq!([0.0, 1e-9].map(|end| axis_label(end, (0.0, 1e-9))), ["0", "1e-9"]);
    }
}
