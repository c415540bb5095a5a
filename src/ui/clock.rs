//! The clock that pages measure by: it cannot be set back or ahead, as the one on the wall can.

use leptos::prelude::window;

/// Milliseconds since the page began; browsers round them to 0.1, some to 1.
pub fn now() -> f64 {
    window()
        .performance()
        .map_or_else(js_sys::Date::now, |clock| clock.now())
}

/// Whether so many milliseconds have gone by from `since` to `now`. Where a browser has no other clock than the one on the wall, that
/// may have been set back: nobody knows how long it was then, and it is taken for over.
pub fn has_elapsed(since: f64, length: f64, now: f64) -> bool {
    !(since..=since + length).contains(&now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_over_when_it_has_gone_by_or_the_clock_was_set_back() {
        let since = 1_800_000_000_000.0;
        for (after, over) in [
            (0.0, false),
            (2_000.0, false),
            (2_001.0, true),
            (9e9, true),
            (-1.0, true),
            (-9e9, true),
        ] {
            assert_eq!(has_elapsed(since, 2_000.0, since + after), over, "{after}");
        }
    }
}
