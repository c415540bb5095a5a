//! The names of the ways, and what the page says of each.

use super::super::findings::Verdict;
use super::super::model::Way;
use crate::ui::words::{Words, words};

pub fn name(way: Way) -> Words {
    match way {
        Way::Socket => words!(compare.way_socket),
        Way::Topic => words!(compare.way_topic),
        Way::Fetch => words!(compare.way_fetch),
        Way::Fresh => words!(compare.way_fresh),
        Way::Sse => words!(compare.way_sse),
        Way::Poll => words!(compare.way_poll),
        Way::Function => words!(compare.way_function),
        Way::Signal => words!(compare.way_signal),
    }
}

pub fn what(way: Way) -> Words {
    match way {
        Way::Socket => words!(compare.what_socket),
        Way::Topic => words!(compare.what_topic),
        Way::Fetch => words!(compare.what_fetch),
        Way::Fresh => words!(compare.what_fresh),
        Way::Sse => words!(compare.what_sse),
        Way::Poll => words!(compare.what_poll),
        Way::Function => words!(compare.what_function),
        Way::Signal => words!(compare.what_signal),
    }
}

/// The sentence, with `{factor}` and `{second}` in some, and their values.
pub fn verdict(verdict: Verdict) -> (Words, f64) {
    match verdict {
        Verdict::Nothing => (words!(compare.verdict_nothing), 0.0),
        Verdict::Best => (words!(compare.verdict_best), 0.0),
        Verdict::Quickest { heavier } => (words!(compare.verdict_quickest), heavier),
        Verdict::Lightest { slower } => (words!(compare.verdict_lightest), slower),
        Verdict::Near => (words!(compare.verdict_near), 0.0),
        Verdict::Slower { slower } => (words!(compare.verdict_slower), slower),
        Verdict::Heavier { heavier } => (words!(compare.verdict_heavier), heavier),
    }
}

/// Of the table's columns, in their order.
pub const COLUMNS: [Words; 11] = [
    words!(compare.column_p50),
    words!(compare.column_p95),
    words!(compare.column_p99),
    words!(compare.column_rate),
    words!(compare.column_up),
    words!(compare.column_down),
    words!(compare.column_overhead),
    words!(compare.column_opened),
    words!(compare.column_cpu),
    words!(compare.column_answered),
    words!(compare.column_failed),
];

pub const STALE_COLUMNS: [Words; 7] = [
    words!(compare.column_late),
    words!(compare.column_late_max),
    words!(compare.column_seen),
    words!(compare.column_missed),
    words!(compare.column_requests),
    words!(compare.column_bytes_up),
    words!(compare.column_bytes_down),
];
