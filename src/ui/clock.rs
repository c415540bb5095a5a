//! The monotonic clock of a page.

use leptos::prelude::window;

/// Milliseconds since the page started; browsers round them to 0.1, some to 1.
pub fn now() -> f64 {
    window()
        .performance()
        .map_or_else(js_sys::Date::now, |clock| clock.now())
}

/// Whether `duration` milliseconds have passed from `since` to `now`. Also true if `now` is before `since`: a browser without a
/// monotonic clock falls back to the system clock, which may have been set back.
pub fn has_elapsed(since: f64, duration: f64, now: f64) -> bool {
    !(since..=since + duration).contains(&now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_elapsed_when_it_passed_or_the_clock_was_set_back() {
        let since = 1_800_000_000_000.0;
        for (after, elapsed) in [
            (0.0, false),
            (2_000.0, false),
            (2_001.0, true),
            (9e9, true),
            (-1.0, true),
            (-9e9, true),
        ] {
            assert_eq!(has_elapsed(since, 2_000.0, since + after), elapsed, "{after}");
        }
    }
}
