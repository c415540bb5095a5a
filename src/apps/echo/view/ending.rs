//! How the connection ended: who closed it, the code and its meaning, and when the next attempt comes.

use std::time::Duration;

use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*};

use super::{super::session::Session, words};
use crate::{
    client::use_socket::{Closed, SocketState},
    i18n::*,
    ui::words::{fill, note},
    wire::code,
};

#[component]
pub fn Ending(session: Session) -> impl IntoView {
    let i18n = use_i18n();
    let closed = Memo::new(move |_| {
        session.socket.state.with(|state| match state {
            SocketState::Closed(closed) => Some(closed.clone()),
            _ => None,
        })
    });
    let line = note(move || closed.get().map(|closed| line(i18n.get_locale(), &closed)));
    view! {
        <p class="ending">{line}</p>
        <NextAttempt closed/>
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
fn NextAttempt(closed: Memo<Option<Closed>>) -> impl IntoView {
    const TICK: Duration = Duration::from_millis(100);
    let i18n = use_i18n();
    let left = RwSignal::new(None::<f64>);
    Effect::new(move |_| {
        let delay = closed.with(|closed| closed.as_ref().and_then(|closed| closed.retry));
        let Some(delay) = delay else {
            left.set(None);
            return;
        };
        let due = js_sys::Date::now() + delay.as_secs_f64() * 1000.0;
        left.set(Some(delay.as_secs_f64()));
        let count_down = move || left.set(Some((due - js_sys::Date::now()).max(0.0) / 1000.0));
        let timer = set_interval_with_handle(count_down, TICK).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    let line = note(move || {
        let line = |seconds| {
            fill(
                t_string!(i18n, echo.next_attempt),
                &[("seconds", &format!("{seconds:.1}"))],
            )
        };
        left.get().map(line)
    });
    // Not announced: a screen reader would never come to an end.
    view! { <p class="next-attempt" aria-live="off">{line}</p> }
}
