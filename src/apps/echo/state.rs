//! The echo page's state, shared by its cards: the socket, its journal and its round trips, as signals. Contains no view code.

use leptos::{leptos_dom::helpers::request_animation_frame, prelude::*};

use super::{
    journal::{Content, Filter, Journal, Kind},
    round_trips::{RoundTripStats, RoundTrips},
    wire::{ECHO_PATH, GREETING, REPLY_PREFIX, SOCKET_PATH},
};
use crate::wire::text;
use duplex_leptos::{
    reconnect::Backoff,
    socket::{Closed, Payload, PreconnectedSocket, SocketError, SocketEvent, SocketOptions, UseSocket, use_socket},
};
use duplex_protocol::{
    frame,
    handshake::{TRACE_PARAMETER, without_trace},
};

#[derive(Clone, Copy)]
pub struct EchoState {
    pub socket: UseSocket,
    pub address: RwSignal<String>,
    /// The subprotocols, comma-separated as typed.
    pub protocols: RwSignal<String>,
    pub reconnect: RwSignal<bool>,
    pub greet: RwSignal<bool>,
    pub journal: StoredValue<Journal>,
    trips: StoredValue<RoundTrips>,
    /// Incremented when the journal or the round trips change, at most once per frame.
    pub version: RwSignal<u32>,
    scheduled: StoredValue<bool>,
    trace: StoredValue<Option<String>>,
}

impl EchoState {
    /// Opens the socket; it is closed with the calling component.
    pub fn new() -> Self {
        let this: StoredValue<Option<EchoState>> = StoredValue::new(None);
        let address = RwSignal::new(SOCKET_PATH.to_owned());
        let protocols = RwSignal::new(String::new());
        let reconnect = RwSignal::new(false);
        let trace = StoredValue::new(None);
        let options = SocketOptions {
            preconnected: PreconnectedSocket::take(|url| {
                let (_, id) = url.split_once(TRACE_PARAMETER)?;
                let id = id.strip_prefix('=')?;
                trace.set_value(Some(id.to_owned()));
                Some(format!("{SOCKET_PATH}?{TRACE_PARAMETER}={id}"))
            }),
            protocols: Signal::derive(move || protocols.with(|typed| parse_protocols(typed))),
            reconnect: Signal::derive(move || reconnect.get().then(Backoff::default)),
            on_event: Callback::new(move |event| {
                if let Some(echo) = this.get_value() {
                    echo.on_event(event);
                }
            }),
            observer: log_to_console,
            ..SocketOptions::default()
        };
        let echo = Self {
            socket: use_socket(move || with_trace_id(&address.get_untracked(), trace), options),
            address,
            protocols,
            reconnect,
            greet: RwSignal::new(true),
            journal: StoredValue::new(Journal::default()),
            trips: StoredValue::new(RoundTrips::default()),
            version: RwSignal::new(0),
            scheduled: StoredValue::new(false),
            trace,
        };
        this.set_value(Some(echo));
        echo
    }

    /// The id of the server's handshake record of this connection.
    pub fn trace(&self) -> Option<String> {
        self.trace.try_get_value().flatten()
    }

    pub fn stats(&self) -> Option<RoundTripStats> {
        self.version.track();
        self.trips.with_value(RoundTrips::stats)
    }

    pub fn recent_round_trips(&self) -> Vec<f64> {
        self.version.track();
        self.trips.with_value(|trips| trips.recent().collect())
    }

    /// Changes the journal (filter, pause, clear) and re-renders it at once.
    pub fn edit_journal(&self, edit: impl FnOnce(&mut Journal)) {
        self.journal.update_value(edit);
        self.version.update(|count| *count = count.wrapping_add(1));
    }

    pub fn set_filter(&self, filter: Filter) {
        self.edit_journal(|journal| journal.set_filter(move |entry| filter.matches(entry)));
    }

    fn on_event(&self, event: SocketEvent) {
        let now = js_sys::Date::now();
        match event {
            SocketEvent::Connecting { address } => {
                self.trips.update_value(RoundTrips::clear_pending);
                self.log_event(now, Kind::Connecting, without_trace(&address).to_owned(), None);
            }
            SocketEvent::Open { protocol, extensions } => {
                self.log_event(now, Kind::Open, negotiated_text(&protocol, &extensions), None);
                if self.greet.get_untracked() {
                    let _ = self.socket.send(GREETING);
                }
            }
            SocketEvent::Sent(payload) => self.message(now, Kind::Sent, payload),
            SocketEvent::Received(payload) => self.message(now, Kind::Received, payload),
            SocketEvent::Closing { code, reason } => {
                let wire = frame::close_wire_len(Some(code), &reason, true);
                self.log_event(now, Kind::Closing, format!("{code} {reason}"), Some(wire));
            }
            SocketEvent::Closed(closed) => self.closed(now, &closed),
            SocketEvent::Error(error) => self.log_event(now, Kind::Error, error.to_string(), None),
        }
        self.schedule();
    }

    fn message(&self, now: f64, kind: Kind, payload: Payload) {
        let size = payload.len() as u64;
        let content = match payload {
            Payload::Text(text) => Content::Text(text),
            Payload::Binary(bytes) => Content::Binary(bytes),
        };
        let sent = kind == Kind::Sent;
        let clock = window().performance().map_or(now, |performance| performance.now());
        let round_trip = self.trips.try_update_value(|trips| {
            if sent {
                trips.sent(clock, &content);
                return None;
            }
            trips.received(clock, &content, REPLY_PREFIX)
        });
        let wire = Some(frame::wire_len(size, sent));
        self.journal
            .update_value(|journal| journal.push(now, kind, content, size, wire, round_trip.flatten()));
    }

    fn closed(&self, now: f64, closed: &Closed) {
        let code = (closed.was_clean && closed.code != duplex_protocol::code::NO_STATUS).then_some(closed.code);
        let wire = closed
            .was_clean
            .then(|| frame::close_wire_len(code, &closed.reason, false));
        self.log_event(now, Kind::Closed, format!("{} {}", closed.code, closed.reason), wire);
    }

    fn log_event(&self, now: f64, kind: Kind, text: String, wire: Option<u64>) {
        let size = wire.map_or(0, |wire| wire.saturating_sub(2));
        self.journal
            .update_value(|journal| journal.push(now, kind, Content::Note(text), size, wire, None));
    }

    /// Schedules one re-render per animation frame.
    fn schedule(&self) {
        if self.scheduled.get_value() {
            return;
        }
        self.scheduled.set_value(true);
        let (scheduled, version) = (self.scheduled, self.version);
        request_animation_frame(move || {
            scheduled.try_update_value(|scheduled| *scheduled = false);
            version.try_update(|count| *count = count.wrapping_add(1));
        });
    }
}

fn parse_protocols(typed: &str) -> Vec<String> {
    typed
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Appends a new trace id to an address of this server; other addresses stay as typed.
fn with_trace_id(address: &str, trace: StoredValue<Option<String>>) -> String {
    if !matches!(address, SOCKET_PATH | ECHO_PATH) {
        trace.set_value(None);
        return address.trim().to_owned();
    }
    let id = random_id();
    trace.set_value(Some(id.clone()));
    format!("{address}?{TRACE_PARAMETER}={id}")
}

/// 128 random bits: the id is the secret that grants access to the connection's handshake record.
fn random_id() -> String {
    let mut bytes = [0_u8; 16];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    super::hex::encode(&bytes)
}

fn negotiated_text(protocol: &str, extensions: &str) -> String {
    [protocol, extensions]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" · ")
}

/// Logs the tutorial's console messages.
fn log_to_console(event: &SocketEvent) {
    use leptos::logging::{error, log};
    match event {
        SocketEvent::Open { .. } => log!("WebSocket 연결 열림"),
        SocketEvent::Received(Payload::Text(text)) => log!("서버로부터 메시지: {}", truncated(text)),
        SocketEvent::Received(Payload::Binary(bytes)) => log!("서버로부터 메시지: [{} B]", bytes.len()),
        SocketEvent::Closed(_) => log!("WebSocket 연결 닫힘"),
        SocketEvent::Error(
            error @ (SocketError::Address { .. } | SocketError::Insecure { .. } | SocketError::Connection),
        ) => {
            error!("WebSocket 에러: {error}");
        }
        _ => (),
    }
}

fn truncated(text: &str) -> String {
    const MAX_CHARS: usize = 500;
    match text::truncate(text, MAX_CHARS) {
        short if short.len() < text.trim_end().len() => format!("{short}…"),
        _ => text.to_owned(),
    }
}
