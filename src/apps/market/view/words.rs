//! Symbols, prices, standings and refusals in the visitor's language.

use super::super::{
    model::decimal,
    order::Column,
    wire::{Entry, FeedStatus, Interval, Listing, MAX_ALERTS, Sector, Side, why},
};
use crate::{
    i18n::*,
    ui::{
        standing::LOOK_FIRST,
        words::{Words, fill, words},
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
    decimal::show(price, listing.scale, listing.least)
}

/// Whole lots; what is traded in less is shown with its digits, and what is more than can be said as at least that.
pub fn volume(listing: &Listing, volume: u64) -> String {
    let at_least = if volume == u64::MAX { "≥ " } else { "" };
    [at_least, &lots(listing, volume)].concat()
}

fn lots(listing: &Listing, volume: u64) -> String {
    let whole = decimal::rescale(volume, listing.lots, 0).unwrap_or(volume);
    if whole >= 100 || listing.lots == 0 {
        decimal::show(whole, 0, 0)
    } else {
        decimal::show(volume, listing.lots, 0)
    }
}

/// `up`, `down` or `flat`, for style sheets and tests.
pub const fn way(change: i64) -> &'static str {
    match change {
        1.. => "up",
        0 => "flat",
        _ => "down",
    }
}

/// The sign that says it without a colour.
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

/// `+1,200`: by how much the price is above where it was.
pub fn difference(entry: &Entry) -> String {
    let (last, open) = (entry.tick.last, entry.tick.open);
    let way = match last.cmp(&open) {
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Less => -1,
    };
    [sign(way), &price(&entry.listing, last.abs_diff(open))].concat()
}

pub fn sector(sector: Sector) -> Words {
    match sector {
        Sector::Chips => words!(market.chips),
        Sector::Cars => words!(market.cars),
        Sector::Finance => words!(market.finance),
        Sector::Health => words!(market.health),
        Sector::Energy => words!(market.energy),
        Sector::Food => words!(market.food),
        Sector::Games => words!(market.games),
        Sector::Coins => words!(market.coins),
    }
}

pub fn column(column: Column) -> Words {
    match column {
        Column::Name => words!(market.name),
        Column::Last => words!(market.last),
        Column::Change => words!(market.change),
        Column::Volume => words!(market.volume),
    }
}

pub fn interval(interval: Interval) -> Words {
    match interval {
        Interval::Minute => words!(market.minute),
        Interval::FiveMinutes => words!(market.five_minutes),
        Interval::Quarter => words!(market.quarter),
        Interval::Hour => words!(market.hour),
        Interval::Day => words!(market.day),
    }
}

pub fn side(side: Side) -> Words {
    match side {
        Side::Above => words!(market.above),
        Side::Below => words!(market.below),
    }
}

/// How current the prices are, in one word for style sheets and tests, and in the visitor's: first whether this page hears the
/// server, then whether the server hears the source.
pub fn feed_status(status: TopicStatus, feed: FeedStatus, has_prices: bool) -> (&'static str, Words) {
    match (status, feed) {
        (TopicStatus::Waiting, _) => ("waiting", words!(market.waiting)),
        (TopicStatus::Denied(_), _) => ("denied", words!(market.denied)),
        (TopicStatus::Outdated, _) => ("outdated", words!(market.outdated)),
        (TopicStatus::Loading, _) => ("loading", words!(market.loading)),
        (_, FeedStatus::Lost) => ("lost", words!(market.lost)),
        (_, FeedStatus::Stale) => ("stale", words!(market.stale)),
        (_, FeedStatus::Connecting) if !has_prices => ("off", words!(market.off)),
        (_, FeedStatus::Connecting) => ("connecting", words!(market.connecting)),
        (TopicStatus::Resuming, FeedStatus::Live) => ("resuming", words!(market.resuming)),
        (TopicStatus::Live, FeedStatus::Live) => ("live", words!(market.live)),
    }
}

pub fn rejection(locale: Locale, rejection: &Rejection) -> String {
    let words: Words = match rejection {
        Rejection::Refused { why } => match why.as_str() {
            why::BAD_PRICE => words!(market.bad_price),
            why::ALERTS_FULL => words!(market.alerts_full),
            why::NO_ALERT => words!(market.no_alert),
            _ => words!(market.refused),
        },
        Rejection::TooFast { .. } => words!(market.too_fast),
        Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => LOOK_FIRST,
        _ => words!(market.unavailable),
    };
    fill(words(locale), &[("limit", &MAX_ALERTS.to_string())])
}
