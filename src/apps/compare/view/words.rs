//! The names of the ways, and what the page says of each.

use super::super::findings::Verdict;
use super::super::model::Way;
use crate::ui::text::{TextKey, text_key};

pub fn name(way: Way) -> TextKey {
    match way {
        Way::Socket => text_key!(compare.way_socket),
        Way::Topic => text_key!(compare.way_topic),
        Way::Fetch => text_key!(compare.way_fetch),
        Way::Fresh => text_key!(compare.way_fresh),
        Way::Sse => text_key!(compare.way_sse),
        Way::Poll => text_key!(compare.way_poll),
        Way::Function => text_key!(compare.way_function),
        Way::Signal => text_key!(compare.way_signal),
    }
}

pub fn what(way: Way) -> TextKey {
    match way {
        Way::Socket => text_key!(compare.what_socket),
        Way::Topic => text_key!(compare.what_topic),
        Way::Fetch => text_key!(compare.what_fetch),
        Way::Fresh => text_key!(compare.what_fresh),
        Way::Sse => text_key!(compare.what_sse),
        Way::Poll => text_key!(compare.what_poll),
        Way::Function => text_key!(compare.what_function),
        Way::Signal => text_key!(compare.what_signal),
    }
}

/// The sentence, with `{factor}` and `{second}` in some, and their values.
pub fn verdict(verdict: Verdict) -> (TextKey, f64) {
    match verdict {
        Verdict::Nothing => (text_key!(compare.verdict_nothing), 0.0),
        Verdict::Best => (text_key!(compare.verdict_best), 0.0),
        Verdict::Quickest { heavier } => (text_key!(compare.verdict_quickest), heavier),
        Verdict::Lightest { slower } => (text_key!(compare.verdict_lightest), slower),
        Verdict::Near => (text_key!(compare.verdict_near), 0.0),
        Verdict::Slower { slower } => (text_key!(compare.verdict_slower), slower),
        Verdict::Heavier { heavier } => (text_key!(compare.verdict_heavier), heavier),
    }
}

/// Of the table's columns, in their order.
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

pub const STALE_COLUMNS: [TextKey; 7] = [
    text_key!(compare.column_late),
    text_key!(compare.column_late_max),
    text_key!(compare.column_seen),
    text_key!(compare.column_missed),
    text_key!(compare.column_requests),
    text_key!(compare.column_bytes_up),
    text_key!(compare.column_bytes_down),
];
