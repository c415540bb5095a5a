//! The inspector's texts for session phases, topic statuses, faults, trace events and handshake headers.

use super::frame_text::HeaderPart;
use crate::{
    i18n::*,
    ui::{
        close_text::meaning_text,
        format,
        text::{TextKey, fill, text_key},
    },
};
use duplex_leptos::{
    status::{Phase, TopicStatus, Transport},
    trace::{EventKind, RequestedFault},
};
use duplex_protocol::{code, fault::Fault};

/// The transport's name, the same in every language.
pub const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::WebSocket => "WebSocket",
        Transport::Sse => "SSE",
        Transport::Poll => "long polling",
    }
}

pub fn phase_text(phase: Phase) -> TextKey {
    match phase {
        Phase::Idle => text_key!(inspector.phase_idle),
        Phase::Connecting => text_key!(inspector.phase_connecting),
        Phase::Live => text_key!(inspector.phase_live),
        Phase::Waiting { .. } => text_key!(inspector.phase_waiting),
        Phase::Offline => text_key!(inspector.phase_offline),
        Phase::Stopped(_) => text_key!(inspector.phase_stopped),
    }
}

pub fn status_text(status: TopicStatus) -> TextKey {
    match status {
        TopicStatus::Loading => text_key!(inspector.status_loading),
        TopicStatus::Live => text_key!(inspector.status_live),
        TopicStatus::Resuming => text_key!(inspector.status_resuming),
        TopicStatus::Waiting => text_key!(inspector.status_waiting),
        TopicStatus::Denied(_) => text_key!(inspector.status_denied),
        TopicStatus::Outdated => text_key!(inspector.status_outdated),
    }
}

pub fn fault_name(fault: Option<RequestedFault>) -> TextKey {
    match fault {
        None => text_key!(inspector.chapter_begin),
        Some(RequestedFault::Offline(_)) => text_key!(inspector.offline),
        Some(RequestedFault::Server(fault)) => match fault {
            Fault::Disconnect => text_key!(inspector.cut),
            Fault::Drain => text_key!(inspector.drain),
            Fault::Block { sse: false, .. } => text_key!(inspector.block_websocket),
            Fault::Block { .. } => text_key!(inspector.block_sse),
            Fault::Unblock => text_key!(inspector.unblock),
            Fault::Delay { .. } => text_key!(inspector.delay),
            Fault::Stall { .. } => text_key!(inspector.slow),
        },
    }
}

/// The reason why the server rejected a fault.
pub fn rejection_text(locale: Locale, status: u16) -> String {
    let key: TextKey = match status {
        403 => text_key!(inspector.rejected_foreign),
        404 => text_key!(inspector.rejected_unknown),
        0 => text_key!(inspector.rejected_away),
        _ => text_key!(inspector.rejected_other),
    };
    fill(key(locale), &[("status", &status.to_string())])
}

/// The text of an event in the timeline.
pub fn event_text(locale: Locale, kind: &EventKind) -> String {
    match kind {
        EventKind::Phase {
            phase: Phase::Live,
            transport: Some(used),
        } => fill(
            td_string!(locale, inspector.step_live),
            &[("transport", transport_name(*used))],
        ),
        EventKind::Phase { phase: state, .. } => phase_text(*state)(locale).to_owned(),
        EventKind::Opening { transport: used, .. } => fill(
            td_string!(locale, inspector.step_opening),
            &[("transport", transport_name(*used))],
        ),
        EventKind::Opened { .. } => td_string!(locale, inspector.step_opened).to_owned(),
        EventKind::Closed { code, .. } => {
            let meaning = meaning_text(code::meaning(*code))(locale);
            let code = code.to_string();
            fill(
                td_string!(locale, inspector.step_closed),
                &[("code", &code), ("meaning", meaning)],
            )
        }
        EventKind::ClosedLocally { .. } => td_string!(locale, inspector.step_left).to_owned(),
        EventKind::Closing { retry_after_ms } => {
            let after = format::millis(locale, (*retry_after_ms).into());
            fill(td_string!(locale, inspector.step_closing), &[("after", &after)])
        }
        EventKind::Resumed { topic, replayed } => {
            let replayed = format::grouped(*replayed);
            fill(
                td_string!(locale, inspector.step_resumed),
                &[("topic", topic.as_str()), ("replayed", &replayed)],
            )
        }
        EventKind::Reset { topic } => fill(td_string!(locale, inspector.step_reset), &[("topic", topic.as_str())]),
        EventKind::Denied { topic } => fill(td_string!(locale, inspector.step_denied), &[("topic", topic.as_str())]),
        EventKind::Fault { fault, .. } => fault_name(Some(*fault))(locale).to_owned(),
        EventKind::OfflineEnded => td_string!(locale, inspector.step_restored).to_owned(),
    }
}

pub fn header_part_text(part: HeaderPart) -> TextKey {
    match part {
        HeaderPart::FinOpcode => text_key!(inspector.part_fin),
        HeaderPart::MaskLength => text_key!(inspector.part_mask),
        HeaderPart::Length => text_key!(inspector.part_length),
        HeaderPart::MaskingKey => text_key!(inspector.part_key),
    }
}

/// The purpose of a handshake header.
pub fn header_text(name: &str) -> Option<TextKey> {
    Some(match name {
        "upgrade" => text_key!(inspector.header_upgrade),
        "connection" => text_key!(inspector.header_connection),
        "sec-websocket-key" => text_key!(inspector.header_key),
        "sec-websocket-accept" => text_key!(inspector.header_accept),
        "sec-websocket-version" => text_key!(inspector.header_version),
        "sec-websocket-protocol" => text_key!(inspector.header_protocol),
        "sec-websocket-extensions" => text_key!(inspector.header_extensions),
        "origin" => text_key!(inspector.header_origin),
        "host" => text_key!(inspector.header_host),
        "cookie" => text_key!(inspector.header_cookie),
        ":protocol" => text_key!(inspector.header_h2),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_name_of_its_own_in_both_languages() {
        let for_ms = 1;
        let block = |sse| Fault::Block {
            websocket: true,
            sse,
            for_ms,
        };
        let server = [
            Fault::Disconnect,
            Fault::Drain,
            block(false),
            block(true),
            Fault::Unblock,
            Fault::Delay { by_ms: 1, for_ms },
            Fault::Stall { for_ms },
        ];
        for locale in [Locale::ko, Locale::en] {
            let mut names: Vec<_> = server
                .iter()
                .map(|fault| Some(RequestedFault::Server(*fault)))
                .chain([None, Some(RequestedFault::Offline(1))])
                .map(|fault| fault_name(fault)(locale))
                .collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), server.len() + 2);
        }
    }

    #[test]
    fn an_event_text_contains_its_numbers() {
        let topic = "chat/a".parse().unwrap();
        let text = event_text(Locale::en, &EventKind::Resumed { topic, replayed: 3 });
        assert!(text.contains("chat/a") && text.contains('3'), "{text}");
        let text = event_text(
            Locale::en,
            &EventKind::Closed {
                connection: 1,
                code: 1006,
            },
        );
        assert!(text.contains("1006"), "{text}");
    }
}
