//! How the connection ended: who closed it, the code and its meaning, and when the next attempt comes.

use std::time::Duration;

use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*};

use super::{super::session::Session, words};
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
pub fn Ending(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let line = optional_text(move || {
        session
            .socket
            .state
            .with(|state| Some(line(i18n.get_locale(), ended(state)?)))
    });
    view! {
        <p class="ending">{line}</p>
        <NextAttempt session/>
    }
}

fn ended(state: &SocketState) -> Option<&Closed> {
    match state {
        SocketState::Closed(closed) => Some(closed),
        _ => None,
    }
}

fn line(locale: Locale, closed: &Closed) -> String {
    let who = words::closed_by(closed.by)(locale);
    let meaning = words::meaning(code::meaning(closed.code))(locale);
    let reason = if closed.reason.is_empty() {
        td_string!(locale, echo.no_reason)
    } else {
        &closed.reason
    };
    let how = if closed.was_clean {
        td_string!(locale, echo.clean)
    } else {
        td_string!(locale, echo.unclean)
    };
    format!("{who} · {} {meaning} · {reason} · {how}", closed.code)
}

/// Counts the seconds down, tenth by tenth.
#[component]
fn NextAttempt(session: Session) -> impl IntoView {
    const TICK: Duration = Duration::from_millis(100);
    let i18n = use_i18n();
    let waits = RwSignal::new(false);
    let tenths = RwSignal::new(0_u32);
    Effect::new(move |_| {
        let delay = session.socket.state.with(|state| ended(state)?.retry);
        waits.set(delay.is_some());
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
        waits
            .get()
            .then(|| fill(t_string!(i18n, echo.next_attempt), &[("seconds", &seconds())]))
    });
    // Not announced: a screen reader would never come to an end.
    view! { <p class="next-attempt" aria-live="off">{line}</p> }
}
