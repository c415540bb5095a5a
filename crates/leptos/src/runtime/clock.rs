//! The page's clock.

use leptos::prelude::window;

/// Milliseconds of the page's clock.
pub(crate) type Millis = u64;

/// Milliseconds since the page's time origin, with fractions.
/// <https://developer.mozilla.org/docs/Web/API/Performance/now>
pub(crate) fn now() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}

/// Whole milliseconds since the page's time origin.
pub(crate) fn now_millis() -> Millis {
    now() as Millis
}

/// Milliseconds since the Unix epoch, by this machine's clock.
pub(crate) fn unix_millis() -> Millis {
    js_sys::Date::now() as Millis
}
