//! Shows how the connection ended: which side closed it, the close code and its meaning, and the time of the next attempt.

use std::time::Duration;

use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*};

use super::{super::state::EchoState, labels};
use crate::{
    i18n::*,
    ui::{
        clock,
        text::{fill, optional_text},
    },
};
use duplex_leptos::socket::{Closed, SocketState};
use duplex_protocol::code;

#[component]
pub fn CloseStatus(echo: EchoState) -> impl IntoView {
    let i18n = use_i18n();
    let line = optional_text(move || {
        echo.socket
            .state
            .with(|state| Some(close_text(i18n.get_locale(), closed(state)?)))
    });
    view! {
        <p class="close-status">{line}</p>
        <NextAttempt echo/>
    }
}

fn closed(state: &SocketState) -> Option<&Closed> {
    match state {
        SocketState::Closed(closed) => Some(closed),
        _ => None,
    }
}

fn close_text(locale: Locale, closed: &Closed) -> String {
    let closed_by = labels::closed_by(closed.by)(locale);
    let meaning = labels::meaning_text(code::meaning(closed.code))(locale);
    let reason = if closed.reason.is_empty() {
        td_string!(locale, echo.no_reason)
    } else {
        &closed.reason
    };
    let cleanness = if closed.was_clean {
        td_string!(locale, echo.clean)
    } else {
        td_string!(locale, echo.unclean)
    };
    format!("{closed_by} · {} {meaning} · {reason} · {cleanness}", closed.code)
}

/// The countdown to the next attempt, in tenths of a second.
#[component]
fn NextAttempt(echo: EchoState) -> impl IntoView {
    const TICK: Duration = Duration::from_millis(100);
    let i18n = use_i18n();
    let waiting = RwSignal::new(false);
    let tenths = RwSignal::new(0_u32);
    Effect::new(move |_| {
        let delay = echo.socket.state.with(|state| closed(state)?.retry_after);
        waiting.set(delay.is_some());
        let Some(delay) = delay else { return };
        let due = clock::now() + delay.as_secs_f64() * 1000.0;
        let count_down = move || tenths.set(((due - clock::now()) / 100.0).round().max(0.0) as u32);
        count_down();
        let timer = set_interval_with_handle(count_down, TICK).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    let line = optional_text(move || {
        let seconds = || {
            let tenths = tenths.get();
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        waiting
            .get()
            .then(|| fill(t_string!(i18n, echo.next_attempt), &[("seconds", &seconds())]))
    });
    // Not announced, because a screen reader would read the countdown endlessly.
    view! { <p class="next-attempt" aria-live="off">{line}</p> }
}
