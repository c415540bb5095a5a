//! Names, prices, feed states and rejections as localized text.

use super::super::{
    model::decimal,
    sort::Column,
    wire::{AlertCondition, Entry, FeedStatus, Interval, Listing, MAX_ALERTS, Sector, reason_code},
};
use crate::{
    i18n::*,
    ui::{
        command_text::OUTCOME_UNKNOWN,
        text::{TextKey, fill, text_key},
    },
};
use duplex_leptos::topic::TopicStatus;
use duplex_protocol::session::Rejection;

pub fn name(locale: Locale, listing: &Listing) -> String {
    let (ko, en) = &listing.names;
    if locale == Locale::ko { ko.clone() } else { en.clone() }
}

pub fn code(listing: &Listing) -> String {
    listing.symbol.to_uppercase()
}

pub fn price(listing: &Listing, price: u64) -> String {
    decimal::format(price, listing.scale, listing.min_decimals)
}

/// Formats a volume: large ones as whole units, small ones with their decimals, and an overflowed one with `≥`.
pub fn volume(listing: &Listing, volume: u64) -> String {
    let at_least = if volume == u64::MAX { "≥ " } else { "" };
    [at_least, &units(listing, volume)].concat()
}

fn units(listing: &Listing, volume: u64) -> String {
    let whole = decimal::rescale(volume, listing.volume_scale, 0).unwrap_or(volume);
    if whole >= 100 || listing.volume_scale == 0 {
        decimal::format(whole, 0, 0)
    } else {
        decimal::format(volume, listing.volume_scale, 0)
    }
}

/// The `data-direction` value, for style sheets and tests: `up`, `down` or `flat`.
pub const fn direction(change: i64) -> &'static str {
    match change {
        1.. => "up",
        0 => "flat",
        _ => "down",
    }
}

/// The arrow that shows the direction without colour.
pub const fn arrow(change: i64) -> &'static str {
    match change {
        1.. => "▲",
        0 => "–",
        _ => "▼",
    }
}

const fn sign(change: i64) -> &'static str {
    match change {
        1.. => "+",
        0 => "",
        _ => "−",
    }
}

/// `+1.23%`.
pub fn change(basis_points: i64) -> String {
    [sign(basis_points), &decimal::percent(basis_points)].concat()
}

/// `+1,200`: the difference between the price and its reference.
pub fn difference(entry: &Entry) -> String {
    let (last, open) = (entry.tick.last, entry.tick.open);
    let direction = match last.cmp(&open) {
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Less => -1,
    };
    [sign(direction), &price(&entry.listing, last.abs_diff(open))].concat()
}

pub fn sector(sector: Sector) -> TextKey {
    match sector {
        Sector::Chips => text_key!(market.chips),
        Sector::Cars => text_key!(market.cars),
        Sector::Finance => text_key!(market.finance),
        Sector::Health => text_key!(market.health),
        Sector::Energy => text_key!(market.energy),
        Sector::Food => text_key!(market.food),
        Sector::Games => text_key!(market.games),
        Sector::Coins => text_key!(market.coins),
    }
}

pub fn column(column: Column) -> TextKey {
    match column {
        Column::Name => text_key!(market.name),
        Column::Last => text_key!(market.last),
        Column::Change => text_key!(market.change),
        Column::Volume => text_key!(market.volume),
    }
}

pub fn interval(interval: Interval) -> TextKey {
    match interval {
        Interval::Minute => text_key!(market.minute),
        Interval::FiveMinutes => text_key!(market.five_minutes),
        Interval::FifteenMinutes => text_key!(market.quarter),
        Interval::Hour => text_key!(market.hour),
        Interval::Day => text_key!(market.day),
    }
}

pub fn alert_condition(condition: AlertCondition) -> TextKey {
    match condition {
        AlertCondition::Above => text_key!(market.above),
        AlertCondition::Below => text_key!(market.below),
    }
}

/// The feed status as a code for style sheets and tests, and as text. The page's subscription status takes precedence over the
/// server's feed status.
pub fn feed_status(status: TopicStatus, feed: FeedStatus, has_prices: bool) -> (&'static str, TextKey) {
    match (status, feed) {
        (TopicStatus::Waiting, _) => ("waiting", text_key!(market.waiting)),
        (TopicStatus::Denied(_), _) => ("denied", text_key!(market.denied)),
        (TopicStatus::Outdated, _) => ("outdated", text_key!(market.outdated)),
        (TopicStatus::Loading, _) => ("loading", text_key!(market.loading)),
        (_, FeedStatus::Lost) => ("lost", text_key!(market.lost)),
        (_, FeedStatus::Stale) => ("stale", text_key!(market.stale)),
        (_, FeedStatus::Connecting) if !has_prices => ("off", text_key!(market.off)),
        (_, FeedStatus::Connecting) => ("connecting", text_key!(market.connecting)),
        (TopicStatus::Resuming, FeedStatus::Live) => ("resuming", text_key!(market.resuming)),
        (TopicStatus::Live, FeedStatus::Live) => ("live", text_key!(market.live)),
    }
}

pub fn rejection(locale: Locale, rejection: &Rejection) -> String {
    let key: TextKey = match rejection {
        Rejection::Custom { reason } => match reason.as_str() {
            reason_code::BAD_PRICE => text_key!(market.bad_price),
            reason_code::ALERTS_FULL => text_key!(market.alerts_full),
            reason_code::NO_ALERT => text_key!(market.no_alert),
            _ => text_key!(market.rejected_other),
        },
        Rejection::TooFast { .. } => text_key!(market.too_fast),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => OUTCOME_UNKNOWN,
        _ => text_key!(market.unavailable),
    };
    fill(key(locale), &[("limit", &MAX_ALERTS.to_string())])
}
