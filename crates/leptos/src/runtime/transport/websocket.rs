//! A session over a WebSocket: frames as messages, in the encoding that the server chose among the subprotocols.

use std::cell::Cell;
use std::rc::Rc;

use leptos::task::spawn_local;

use super::{Line, LineTap, Report, Reporter};
use crate::runtime::driver::random_id;
use crate::socket::Payload;
use crate::socket::browser_socket::{self, BrowserSocket};
use crate::socket::machine::resolve;
use crate::status::Transport;
use crate::trace::Carrier;
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::handshake::TRACE_PARAMETER;
use duplex_protocol::session::{ClientFrame, SESSION_PATH};
use duplex_protocol::topic::TopicName;

pub(super) struct Socket {
    /// None: the browser refused to open one.
    socket: Option<BrowserSocket>,
    encoding: Rc<Cell<Option<Encoding>>>,
    tap: LineTap,
}

impl Socket {
    pub fn open(tap: LineTap, report: Reporter) -> Self {
        let encoding = Rc::new(Cell::new(None));
        let protocols = Encoding::ALL.map(|encoding| encoding.subprotocol().to_owned());
        let hear = {
            let (encoding, report, tap) = (Rc::clone(&encoding), Rc::clone(&report), tap.clone());
            move |heard| hear(heard, &encoding, &tap, &report)
        };
        // By it the page may ask what the server saw of this line.
        let trace = random_id().as_str().to_owned();
        let address = resolve(&[SESSION_PATH, "?", TRACE_PARAMETER, "=", &trace].concat());
        tap.opening(Transport::WebSocket, Some(trace));
        let socket = BrowserSocket::open(&address, &protocols, hear).ok();
        if socket.is_none() {
            spawn_local(async move { report(Report::Closed(code::ABNORMAL)) });
        }
        Self { socket, encoding, tap }
    }
}

fn hear(heard: browser_socket::Report, encoding: &Cell<Option<Encoding>>, tap: &LineTap, report: &Reporter) {
    match heard {
        browser_socket::Report::Open { protocol, .. } => {
            encoding.set(Encoding::of_subprotocol(&protocol));
            report(encoding.get().map_or(Report::Unreadable, Report::Opened));
        }
        browser_socket::Report::Message(payload) => {
            let frame = match &payload {
                Payload::Text(text) => Encoding::Json.decode(text.as_bytes()),
                Payload::Binary(bytes) => Encoding::Postcard.decode(bytes),
            };
            tap.received(Carrier::Socket, payload);
            report(frame.map_or(Report::Unreadable, Report::Frame));
        }
        // The close event follows, and says more.
        browser_socket::Report::Error => (),
        browser_socket::Report::Close { code, .. } => report(Report::Closed(code)),
    }
}

impl Line for Socket {
    fn send(&self, frame: &ClientFrame) {
        let (Some(socket), Some(encoding)) = (&self.socket, self.encoding.get()) else {
            return;
        };
        let Ok(bytes) = encoding.encode(frame) else { return };
        let payload = match encoding {
            Encoding::Postcard => Payload::Binary(bytes),
            Encoding::Json => Payload::Text(String::from_utf8(bytes).unwrap_or_default()),
        };
        // A socket that is closing takes nothing; its end is reported, and what was sent is sent again.
        if socket.send(&payload).is_ok() {
            self.tap.sent(Carrier::Socket, payload);
        }
    }

    fn ask(&self, _topics: &[(TopicName, Option<Cursor>)], _at_once: bool) {}
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.leave(|_| ());
        }
    }
}
