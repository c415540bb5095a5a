//! A session over a WebSocket: one frame per message, in the encoding that the server chose among the subprotocols.

use std::cell::Cell;
use std::rc::Rc;

use leptos::task::spawn_local;

use super::{Connection, ConnectionEvent, ConnectionTrace, EventSink};
use crate::runtime::ids::random_id;
use crate::socket::{BrowserSocket, BrowserSocketEvent, Payload, resolve};
use crate::status::Transport;
use crate::trace::Carrier;
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::handshake::TRACE_PARAMETER;
use duplex_protocol::session::{ClientFrame, SESSION_PATH};
use duplex_protocol::topic::TopicName;

pub(super) struct WebSocketConnection {
    /// `None` if the browser rejected the URL.
    socket: Option<BrowserSocket>,
    encoding: Rc<Cell<Option<Encoding>>>,
    trace: ConnectionTrace,
}

impl WebSocketConnection {
    pub(crate) fn open(trace: ConnectionTrace, report: EventSink) -> Self {
        let encoding = Rc::new(Cell::new(None));
        let protocols = Encoding::ALL.map(|encoding| encoding.subprotocol().to_owned());
        let on_event = {
            let (encoding, report, trace) = (Rc::clone(&encoding), Rc::clone(&report), trace.clone());
            move |event| on_event(event, &encoding, &trace, &report)
        };
        // The key by which the inspector fetches this connection's handshake from the server.
        let handshake_id = random_id();
        let url = resolve(&[SESSION_PATH, "?", TRACE_PARAMETER, "=", &handshake_id].concat());
        trace.record_opening(Transport::WebSocket, Some(handshake_id));
        let socket = BrowserSocket::open(&url, &protocols, on_event).ok();
        if socket.is_none() {
            spawn_local(async move { report(ConnectionEvent::Closed(code::ABNORMAL)) });
        }
        Self {
            socket,
            encoding,
            trace,
        }
    }
}

fn on_event(event: BrowserSocketEvent, encoding: &Cell<Option<Encoding>>, trace: &ConnectionTrace, report: &EventSink) {
    match event {
        BrowserSocketEvent::Open { protocol, .. } => {
            encoding.set(Encoding::from_subprotocol(&protocol));
            report(
                encoding
                    .get()
                    .map_or(ConnectionEvent::Malformed, ConnectionEvent::Opened),
            );
        }
        BrowserSocketEvent::Message(payload) => {
            let frame = match &payload {
                Payload::Text(text) => Encoding::Json.decode(text.as_bytes()),
                Payload::Binary(bytes) => Encoding::Postcard.decode(bytes),
            };
            trace.record_received(Carrier::Socket, payload);
            report(frame.map_or(ConnectionEvent::Malformed, ConnectionEvent::Frame));
        }
        // The close event follows, with the code.
        BrowserSocketEvent::Error => (),
        BrowserSocketEvent::Close { code, .. } => report(ConnectionEvent::Closed(code)),
    }
}

impl Connection for WebSocketConnection {
    fn send(&self, frame: &ClientFrame) {
        let (Some(socket), Some(encoding)) = (&self.socket, self.encoding.get()) else {
            return;
        };
        let Ok(bytes) = encoding.encode(frame) else { return };
        let payload = match encoding {
            Encoding::Postcard => Payload::Binary(bytes),
            Encoding::Json => Payload::Text(String::from_utf8(bytes).unwrap_or_default()),
        };
        // Fails on a closing socket. Its close event follows, and the command is resent.
        if socket.send(&payload).is_ok() {
            self.trace.record_sent(Carrier::Socket, payload);
        }
    }

    fn request(&self, _topics: &[(TopicName, Option<Cursor>)], _immediate: bool) {}
}

impl Drop for WebSocketConnection {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.close_detached(|_| ());
        }
    }
}
