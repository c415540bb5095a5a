//! A browser `WebSocket` with its four handlers.
//! <https://developer.mozilla.org/docs/Web/API/WebSocket>

use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{BinaryType, CloseEvent, DomException, Event, MessageEvent, WebSocket};

use super::event::{Payload, SocketError};
use super::machine::BrowserSocketEvent;
use duplex_protocol::code;

/// A browser's `WebSocket`. Dropping it detaches its handlers, so that no event of an old socket reaches a new one, and leaves it
/// open; [`close_detached`](Self::close_detached) also closes it.
pub struct BrowserSocket {
    socket: WebSocket,
    on_open: Closure<dyn FnMut(Event)>,
    on_message: Closure<dyn FnMut(MessageEvent)>,
    on_error: Closure<dyn FnMut(Event)>,
    on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl BrowserSocket {
    /// Opens a socket. `url`: see [`resolve`]; `protocols`: subprotocols in order of preference. Calls `report` for each event, never
    /// during this call. Browser only.
    ///
    /// # Errors
    ///
    /// [`SocketError::Address`] and [`SocketError::Insecure`], if the browser rejects the address or a subprotocol.
    pub fn open(
        url: &str,
        protocols: &[String],
        report: impl Fn(BrowserSocketEvent) + Clone + 'static,
    ) -> Result<Self, SocketError> {
        let list: js_sys::Array = protocols.iter().map(|protocol| JsValue::from_str(protocol)).collect();
        let socket = WebSocket::new_with_str_sequence(url, &list).map_err(|thrown| open_error(url, &thrown))?;
        Ok(Self::attach(socket, report))
    }

    /// Attaches handlers to a socket that has none.
    pub(crate) fn attach(socket: WebSocket, report: impl Fn(BrowserSocketEvent) + Clone + 'static) -> Self {
        socket.set_binary_type(BinaryType::Arraybuffer);
        let this = Self {
            on_open: on_open(&socket, report.clone()),
            on_message: on_message(report.clone()),
            on_error: Closure::new({
                let report = report.clone();
                move |_: Event| report(BrowserSocketEvent::Error)
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

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.socket.ready_state() == WebSocket::OPEN
    }

    /// Its open event, if it is open.
    pub(crate) fn open_event(&self) -> Option<BrowserSocketEvent> {
        self.is_open().then(|| open_event(&self.socket))
    }

    /// Whether a close frame was sent or received, and the close event is pending.
    pub(crate) fn is_closing(&self) -> bool {
        self.socket.ready_state() == WebSocket::CLOSING
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`SocketError::NotOpen`], if the socket is still connecting. A closing socket drops the message.
    pub fn send(&self, payload: &Payload) -> Result<(), SocketError> {
        match payload {
            Payload::Text(text) => self.socket.send_with_str(text),
            Payload::Binary(bytes) => self.socket.send_with_u8_array(bytes),
        }
        .map_err(|_| SocketError::NotOpen)
    }

    /// Starts the closing handshake. The caller must have checked code and reason (`check_close`).
    pub(crate) fn close(&self, code: u16, reason: &str) {
        let _ = self.socket.close_with_code_and_reason(code, reason);
    }

    /// Closes with 1000, and reports only the close event, to `on_close`. A connecting socket is closed once it is open: if it were
    /// closed before, the server would see no code, and the browser would log an error.
    pub fn close_detached(self, on_close: impl FnOnce(CloseEvent) + 'static) {
        let state = self.socket.ready_state();
        if state != WebSocket::CLOSED {
            self.once("close", Closure::once_into_js(on_close));
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

fn on_open(socket: &WebSocket, report: impl Fn(BrowserSocketEvent) + 'static) -> Closure<dyn FnMut(Event)> {
    let socket = socket.clone();
    Closure::new(move |_: Event| report(open_event(&socket)))
}

fn open_event(socket: &WebSocket) -> BrowserSocketEvent {
    BrowserSocketEvent::Open {
        protocol: socket.protocol(),
        extensions: socket.extensions(),
    }
}

fn on_message(report: impl Fn(BrowserSocketEvent) + 'static) -> Closure<dyn FnMut(MessageEvent)> {
    Closure::new(move |event: MessageEvent| {
        let data = event.data();
        let payload = match data.as_string() {
            Some(text) => Payload::Text(text),
            None => Payload::Binary(Uint8Array::new(data.unchecked_ref::<ArrayBuffer>()).to_vec()),
        };
        report(BrowserSocketEvent::Message(payload));
    })
}

fn on_close(report: impl Fn(BrowserSocketEvent) + 'static) -> Closure<dyn FnMut(CloseEvent)> {
    Closure::new(move |event: CloseEvent| {
        report(BrowserSocketEvent::Close {
            code: event.code(),
            reason: event.reason(),
            was_clean: event.was_clean(),
        });
    })
}

/// The socket that a script in the page's HTML stored in `window.preconnectedSocket`, if it is connecting or open. Returned once.
pub(crate) fn take_preconnected() -> Option<WebSocket> {
    let (window, name) = (window(), JsValue::from_str("preconnectedSocket"));
    let socket = Reflect::get(&window, &name).ok()?.dyn_into::<WebSocket>().ok()?;
    let _ = Reflect::delete_property(&window, &name);
    matches!(socket.ready_state(), WebSocket::CONNECTING | WebSocket::OPEN).then_some(socket)
}

/// The error for an exception of the constructor: <https://developer.mozilla.org/docs/Web/API/WebSocket/WebSocket#exceptions>
fn open_error(url: &str, thrown: &JsValue) -> SocketError {
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
            reason: message,
        },
    }
}

/// The URL for a path on the page's own host: `wss:` on a page loaded over https, else `ws:`. Other addresses are returned
/// unchanged. Browser only.
#[must_use]
pub fn resolve(address: &str) -> String {
    if !address.starts_with('/') {
        return address.to_owned();
    }
    let location = window().location();
    let secure = location.protocol().is_ok_and(|protocol| protocol == "https:");
    let scheme = if secure { "wss" } else { "ws" };
    format!("{scheme}://{}{address}", location.host().unwrap_or_default())
}
