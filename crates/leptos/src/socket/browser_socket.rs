//! One browser `WebSocket` and its four handlers, owned: dropping it detaches the handlers, so that no event of an
//! old socket reaches a new one. Knows no signal and no component.
//! <https://developer.mozilla.org/docs/Web/API/WebSocket>

use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{BinaryType, CloseEvent, DomException, Event, MessageEvent, WebSocket};

use crate::socket::{Payload, SocketError};
use duplex_protocol::code;

/// What the browser reports of one socket.
pub enum Report {
    Open {
        protocol: String,
        extensions: String,
    },
    Message(Payload),
    /// The browser says no more than that, by design: <https://websockets.spec.whatwg.org/#feedback-from-the-protocol>
    Error,
    Close {
        code: u16,
        reason: String,
        was_clean: bool,
    },
}

pub struct BrowserSocket {
    socket: WebSocket,
    on_open: Closure<dyn FnMut(Event)>,
    on_message: Closure<dyn FnMut(MessageEvent)>,
    on_error: Closure<dyn FnMut(Event)>,
    on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl BrowserSocket {
    pub fn open(
        url: &str,
        protocols: &[String],
        report: impl Fn(Report) + Clone + 'static,
    ) -> Result<Self, SocketError> {
        let list: js_sys::Array = protocols.iter().map(|protocol| JsValue::from_str(protocol)).collect();
        let socket = WebSocket::new_with_str_sequence(url, &list).map_err(|thrown| refused(url, &thrown))?;
        Ok(Self::own(socket, report))
    }

    /// Takes a socket that nobody listens to yet.
    pub fn own(socket: WebSocket, report: impl Fn(Report) + Clone + 'static) -> Self {
        socket.set_binary_type(BinaryType::Arraybuffer);
        let this = Self {
            on_open: on_open(&socket, report.clone()),
            on_message: on_message(report.clone()),
            on_error: Closure::new({
                let report = report.clone();
                move |_: Event| report(Report::Error)
            }),
            on_close: on_close(report),
            socket,
        };
        this.socket.set_onopen(Some(this.on_open.as_ref().unchecked_ref()));
        this.socket
            .set_onmessage(Some(this.on_message.as_ref().unchecked_ref()));
        this.socket.set_onerror(Some(this.on_error.as_ref().unchecked_ref()));
        this.socket.set_onclose(Some(this.on_close.as_ref().unchecked_ref()));
        this
    }

    pub fn is_open(&self) -> bool {
        self.socket.ready_state() == WebSocket::OPEN
    }

    /// What was reported when it opened.
    pub fn opening(&self) -> Option<Report> {
        self.is_open().then(|| opening(&self.socket))
    }

    /// Still to be closed: connecting or open.
    pub fn is_live(&self) -> bool {
        matches!(self.socket.ready_state(), WebSocket::CONNECTING | WebSocket::OPEN)
    }

    pub fn send(&self, payload: &Payload) -> Result<(), SocketError> {
        match payload {
            Payload::Text(text) => self.socket.send_with_str(text),
            Payload::Binary(bytes) => self.socket.send_with_u8_array(bytes),
        }
        .map_err(|_| SocketError::NotOpen)
    }

    /// The caller has checked code and reason (`wire::code::check_close`): the browser has nothing left to refuse.
    pub fn close(&self, code: u16, reason: &str) {
        let _ = self.socket.close_with_code_and_reason(code, reason);
    }

    /// Closes with 1000 without this owner hearing of it; `last` hears of the end, whenever it comes. A socket that is
    /// still connecting is closed as soon as it is open: cut off before, the server would see no code, and the browser
    /// would complain on its console.
    pub fn leave(self, last: impl FnOnce(CloseEvent) + 'static) {
        let state = self.socket.ready_state();
        if state != WebSocket::CLOSED {
            self.once("close", Closure::once_into_js(last));
        }
        if state == WebSocket::CONNECTING {
            let socket = self.socket.clone();
            let close = move || drop(socket.close_with_code(code::NORMAL));
            self.once("open", Closure::once_into_js(close));
        } else {
            self.close(code::NORMAL, "");
        }
    }

    fn once(&self, event: &str, handler: JsValue) {
        let _ = self
            .socket
            .add_event_listener_with_callback(event, handler.unchecked_ref());
    }
}

impl Drop for BrowserSocket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onerror(None);
        self.socket.set_onclose(None);
    }
}

fn on_open(socket: &WebSocket, report: impl Fn(Report) + 'static) -> Closure<dyn FnMut(Event)> {
    let socket = socket.clone();
    Closure::new(move |_: Event| report(opening(&socket)))
}

fn opening(socket: &WebSocket) -> Report {
    Report::Open {
        protocol: socket.protocol(),
        extensions: socket.extensions(),
    }
}

fn on_message(report: impl Fn(Report) + 'static) -> Closure<dyn FnMut(MessageEvent)> {
    Closure::new(move |event: MessageEvent| {
        let data = event.data();
        let payload = match data.as_string() {
            Some(text) => Payload::Text(text),
            None => Payload::Binary(Uint8Array::new(data.unchecked_ref::<ArrayBuffer>()).to_vec()),
        };
        report(Report::Message(payload));
    })
}

fn on_close(report: impl Fn(Report) + 'static) -> Closure<dyn FnMut(CloseEvent)> {
    Closure::new(move |event: CloseEvent| {
        report(Report::Close {
            code: event.code(),
            reason: event.reason(),
            was_clean: event.was_clean(),
        });
    })
}

/// The socket that a script in the page's HTML put at `window.begun`, if it is still to be closed. Given once.
pub fn take_begun() -> Option<WebSocket> {
    let (window, name) = (window(), JsValue::from_str("begun"));
    let socket = Reflect::get(&window, &name).ok()?.dyn_into::<WebSocket>().ok()?;
    let _ = Reflect::delete_property(&window, &name);
    matches!(socket.ready_state(), WebSocket::CONNECTING | WebSocket::OPEN).then_some(socket)
}

/// Why the constructor threw: <https://developer.mozilla.org/docs/Web/API/WebSocket/WebSocket#exceptions>
fn refused(url: &str, thrown: &JsValue) -> SocketError {
    let (name, message) = match thrown.dyn_ref::<DomException>() {
        Some(exception) => (exception.name(), exception.message()),
        None => (String::new(), format!("{thrown:?}")),
    };
    match name.as_str() {
        "SecurityError" => SocketError::Insecure {
            address: url.to_owned(),
        },
        _ => SocketError::Address {
            address: url.to_owned(),
            why: message,
        },
    }
}
