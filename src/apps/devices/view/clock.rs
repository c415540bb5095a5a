//! Formats times in the visitor's time zone, and ages. The server knows neither the zone nor when the page is viewed, so it renders
//! UTC.

use std::time::Duration;

use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*};

use super::super::wire::Millis;
use crate::{
    i18n::*,
    ui::{format, text::fill},
};

#[derive(Clone, Copy)]
pub struct Clock {
    /// `None` until hydration.
    now: RwSignal<Option<Millis>>,
    is_hydrated: Memo<bool>,
}

impl Clock {
    pub fn start() -> Self {
        let now = RwSignal::new(None);
        Effect::new(move |_| {
            let tick = move || now.set(Some(js_sys::Date::now() as Millis));
            tick();
            let timer = set_interval_with_handle(tick, Duration::from_secs(1)).ok();
            on_cleanup(move || {
                timer.as_ref().map(IntervalHandle::clear);
            });
        });
        Self {
            now,
            is_hydrated: Memo::new(move |_| now.with(Option::is_some)),
        }
    }

    /// The time of day; `with_day` adds the date.
    pub fn time(self, locale: Locale, at: Millis, with_day: bool) -> String {
        if !self.is_hydrated.get() {
            return utc(at);
        }
        let options = js_sys::Object::new();
        let day: &[(&str, &str)] = if with_day {
            &[("month", "short"), ("day", "numeric")]
        } else {
            &[("second", "2-digit")]
        };
        let time = [("hour", "2-digit"), ("minute", "2-digit"), ("hourCycle", "h23")];
        for (key, value) in day.iter().chain(&time) {
            let _ = js_sys::Reflect::set(&options, &(*key).into(), &(*value).into());
        }
        let date = js_sys::Date::new(&(at as f64).into());
        date.to_locale_string(locale.as_str(), &options).into()
    }

    /// Formats the time since `at`: "never" if `at` is 0, zero seconds if `at` is in the future.
    pub fn ago(self, locale: Locale, at: Millis) -> String {
        match self.now.get() {
            _ if at == 0 => td_string!(locale, devices.never).to_owned(),
            None => utc(at),
            Some(now) => {
                let span = format::duration_in_largest_unit(locale, now.saturating_sub(at) / 1_000);
                fill(td_string!(locale, devices.ago), &[("span", &span)])
            }
        }
    }
}

/// `09:05:07 UTC`
fn utc(at: Millis) -> String {
    let seconds = at / 1_000 % 86_400;
    let two = |number: u64| format!("{number:02}");
    let (hours, minutes, seconds) = (two(seconds / 3_600), two(seconds / 60 % 60), two(seconds % 60));
    format!("{hours}:{minutes}:{seconds} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_renders_utc() {
        assert_eq!(utc(1_795_387_507_000), "22:45:07 UTC");
    }
}
