//! The status bar of the tab's session: its transport, the next attempt to reconnect, queued commands, and an offer to reload an
//! outdated page. Independent of topics.

use std::time::Duration;

use leptos::leptos_dom::helpers::IntervalHandle;
use leptos::prelude::*;

use super::format;
use super::text::{TextKey, dynamic_text, dynamic_view, fill, optional_text, t, text_key};
use crate::i18n::*;
use duplex_leptos::status::{Phase, SessionStatus, StopReason, Transport, retry_now, use_session_status};
use duplex_protocol::code;

/// Empty while no topic is subscribed, as in the server's HTML.
#[component]
pub fn SessionStatusBar() -> impl IntoView {
    let i18n = use_i18n();
    let status = use_session_status();
    let seconds = use_countdown(status);
    let state = optional_text(move || {
        let status = status.get();
        let code = match status.phase {
            Phase::Stopped(StopReason::Closed(code)) => code.to_string(),
            _ => String::new(),
        };
        phase_text(&status).map(|key| fill(key(i18n.get_locale()), &[("code", &code)]))
    });
    let detail = optional_text(move || detail(&status.get(), seconds.get(), i18n.get_locale()));
    let queued = optional_text(move || {
        let SessionStatus { queued, phase, .. } = status.get();
        let key: TextKey = text_key!(link.queued);
        let count = queued.to_string();
        (queued > 0 && phase != Phase::Live).then(|| fill(key(i18n.get_locale()), &[("count", &count)]))
    });
    let reload = dynamic_view(move || {
        let status = status.get();
        needs_reload(&status).then(|| {
            let outdated_note = (status.phase == Phase::Live).then(|| t!(link.newer));
            view! { <p class="session-status-reload">{outdated_note} <button type="button" on:click=|_| reload()>{t!(link.reload)}</button></p> }
                .into_any()
        })
    });
    // The button stays during an attempt, so that it keeps the focus.
    let shows_retry = Memo::new(move |shown_before: Option<&bool>| match status.get().phase {
        Phase::Waiting { .. } | Phase::Offline => true,
        Phase::Connecting => shown_before == Some(&true),
        Phase::Idle | Phase::Live | Phase::Stopped(_) => false,
    });
    let retry = dynamic_view(move || {
        shows_retry.get().then(|| {
            view! { <button type="button" class="session-status-retry" on:click=|_| retry_now()>{t!(link.retry)}</button> }
                .into_any()
        })
    });
    view! {
        <aside class="session-status" aria-label=t!(link.label) data-phase=dynamic_text(move || phase_attribute(&status.get()).to_owned())>
            <p class="session-status-phase">
                <span class="dot" aria-hidden="true"></span>
                <span role="status">{state}</span>
                // Changes every second, so it is hidden from screen readers.
                <span class="session-status-detail" aria-hidden="true">{detail}</span>
            </p>
            {retry}
            <p class="session-status-queued" role="status">{queued}</p>
            {reload}
        </aside>
    }
}

fn phase_attribute(status: &SessionStatus) -> &'static str {
    match status.phase {
        Phase::Idle => "idle",
        Phase::Connecting => "connecting",
        Phase::Live => "live",
        Phase::Waiting { .. } => "waiting",
        Phase::Offline => "offline",
        Phase::Stopped(_) => "stopped",
    }
}

fn phase_text(status: &SessionStatus) -> Option<TextKey> {
    let key: TextKey = match (status.phase, status.transport) {
        (Phase::Idle, _) | (Phase::Live, None) => return None,
        (Phase::Connecting, _) => text_key!(link.connecting),
        (Phase::Live, Some(Transport::WebSocket)) => text_key!(link.websocket),
        (Phase::Live, Some(Transport::Sse)) => text_key!(link.sse),
        (Phase::Live, Some(Transport::Poll)) => text_key!(link.poll),
        (Phase::Waiting { .. }, _) => text_key!(link.waiting),
        (Phase::Offline, _) => text_key!(link.offline),
        (Phase::Stopped(StopReason::Reload), _) => text_key!(link.outdated),
        (Phase::Stopped(StopReason::Closed(code::BANNED)), _) => text_key!(link.banned),
        (Phase::Stopped(StopReason::Closed(_)), _) => text_key!(link.closed),
    };
    Some(key)
}

fn detail(status: &SessionStatus, seconds: u64, locale: Locale) -> Option<String> {
    match status.phase {
        Phase::Live => status.round_trip.map(|trip| format::millis(locale, trip)),
        Phase::Waiting { .. } => {
            let key: TextKey = text_key!(link.in_seconds);
            Some(fill(key(locale), &[("seconds", &seconds.to_string())]))
        }
        _ => None,
    }
}

fn needs_reload(status: &SessionStatus) -> bool {
    matches!(status.phase, Phase::Stopped(_)) || status.newer_build
}

fn reload() {
    let _ = window().location().reload();
}

/// Seconds until the next attempt to reconnect.
fn use_countdown(status: Signal<SessionStatus>) -> RwSignal<u64> {
    let seconds = RwSignal::new(0);
    let retry_at = Memo::new(move |_| match status.get().phase {
        Phase::Waiting { until } => Some(until),
        _ => None,
    });
    Effect::new(move |_| {
        let Some(until) = retry_at.get() else { return };
        let update = move || {
            let now = window().performance().map_or(until, |performance| performance.now());
            seconds.set(((until - now) / 1000.0).ceil().max(0.0) as u64);
        };
        update();
        let timer = set_interval_with_handle(update, Duration::from_secs(1)).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(phase: Phase, transport: Option<Transport>) -> Option<&'static str> {
        let status = SessionStatus {
            phase,
            transport,
            ..SessionStatus::default()
        };
        phase_text(&status).map(|key| key(Locale::en))
    }

    #[test]
    fn each_transport_and_each_failure_has_its_own_text() {
        let transports = [Transport::WebSocket, Transport::Sse, Transport::Poll];
        let mut texts: Vec<_> = transports
            .iter()
            .filter_map(|transport| text_of(Phase::Live, Some(*transport)))
            .collect();
        for phase in [
            Phase::Connecting,
            Phase::Waiting { until: 1.0 },
            Phase::Offline,
            Phase::Stopped(StopReason::Reload),
            Phase::Stopped(StopReason::Closed(1000)),
        ] {
            texts.extend(text_of(phase, Some(Transport::Sse)));
        }
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 8);
        assert_eq!(text_of(Phase::Idle, None), None);
    }

    #[test]
    fn an_outdated_page_offers_to_reload() {
        let mut status = SessionStatus::default();
        assert!(!needs_reload(&status));
        status.newer_build = true;
        assert!(needs_reload(&status));
        assert!(needs_reload(&SessionStatus {
            phase: Phase::Stopped(StopReason::Reload),
            ..SessionStatus::default()
        }));
    }
}
