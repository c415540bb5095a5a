//! The texts of the transports and their ratings.

use super::super::findings::Rating;
use super::super::model::Transport;
use crate::ui::text::{TextKey, text_key};

pub fn name(transport: Transport) -> TextKey {
    match transport {
        Transport::Socket => text_key!(compare.way_socket),
        Transport::Topic => text_key!(compare.way_topic),
        Transport::Fetch => text_key!(compare.way_fetch),
        Transport::NewConnection => text_key!(compare.way_fresh),
        Transport::Sse => text_key!(compare.way_sse),
        Transport::Poll => text_key!(compare.way_poll),
        Transport::Function => text_key!(compare.way_function),
        Transport::Signal => text_key!(compare.way_signal),
    }
}

pub fn description(transport: Transport) -> TextKey {
    match transport {
        Transport::Socket => text_key!(compare.what_socket),
        Transport::Topic => text_key!(compare.what_topic),
        Transport::Fetch => text_key!(compare.what_fetch),
        Transport::NewConnection => text_key!(compare.what_fresh),
        Transport::Sse => text_key!(compare.what_sse),
        Transport::Poll => text_key!(compare.what_poll),
        Transport::Function => text_key!(compare.what_function),
        Transport::Signal => text_key!(compare.what_signal),
    }
}

/// A rating's text, and the value of its `{factor}` placeholder, 0 if it has none.
pub fn rating(rating: Rating) -> (TextKey, f64) {
    match rating {
        Rating::Unanswered => (text_key!(compare.verdict_nothing), 0.0),
        Rating::Best => (text_key!(compare.verdict_best), 0.0),
        Rating::Fastest { heavier } => (text_key!(compare.verdict_quickest), heavier),
        Rating::Lightest { slower } => (text_key!(compare.verdict_lightest), slower),
        Rating::Near => (text_key!(compare.verdict_near), 0.0),
        Rating::Slower { slower } => (text_key!(compare.verdict_slower), slower),
        Rating::Heavier { heavier } => (text_key!(compare.verdict_heavier), heavier),
    }
}

/// The headings of the table's columns.
pub const COLUMNS: [TextKey; 11] = [
    text_key!(compare.column_p50),
    text_key!(compare.column_p95),
    text_key!(compare.column_p99),
    text_key!(compare.column_rate),
    text_key!(compare.column_up),
    text_key!(compare.column_down),
    text_key!(compare.column_overhead),
    text_key!(compare.column_opened),
    text_key!(compare.column_cpu),
    text_key!(compare.column_answered),
    text_key!(compare.column_failed),
];

pub const STALENESS_COLUMNS: [TextKey; 7] = [
    text_key!(compare.column_late),
    text_key!(compare.column_late_max),
    text_key!(compare.column_seen),
    text_key!(compare.column_missed),
    text_key!(compare.column_requests),
    text_key!(compare.column_bytes_up),
    text_key!(compare.column_bytes_down),
];
