//! [`use_socket`]: a browser WebSocket owned by one component, opened when the component is created and closed on cleanup.

use std::rc::Rc;
use std::sync::Arc;

use leptos::prelude::*;
use send_wrapper::SendWrapper;
use web_sys::WebSocket;

use super::browser_socket::take_preconnected;
use super::driver::{Driver, DriverSlot, Signals};
use super::event::{Payload, SocketError, SocketEvent, SocketState};
use super::machine::Input;
use crate::reconnect::Backoff;

/// A socket opened by a script in the page's HTML, so that the handshake does not wait for the wasm module:
///
/// ```html
/// <script>window.preconnectedSocket = new WebSocket(`wss://${location.host}/api/socket`)</script>
/// ```
#[derive(Clone)]
pub struct PreconnectedSocket {
    /// The address as [`SocketEvent::Connecting`] reports it.
    pub(super) address: String,
    pub(super) socket: SendWrapper<WebSocket>,
}

impl PreconnectedSocket {
    /// The socket in `window.preconnectedSocket`, if it is connecting or open. Returned once. `address` maps the socket's URL to
    /// the address to report; returns `None` to reject the socket.
    ///
    /// # On the server
    ///
    /// `None`.
    pub fn take(address: impl FnOnce(&str) -> Option<String>) -> Option<Self> {
        let socket = (!is_server()).then(take_preconnected).flatten()?;
        let address = address(&socket.url())?;
        let socket = SendWrapper::new(socket);
        Some(Self { address, socket })
    }
}

/// The options of [`use_socket`].
#[derive(Clone)]
pub struct SocketOptions {
    /// Open when the component is created; otherwise on the first [`UseSocket::open`]. True by default.
    pub immediate: bool,
    /// Used when the component is created, instead of a new socket.
    pub preconnected: Option<PreconnectedSocket>,
    /// Subprotocols to offer, in order of preference; read at each opening.
    pub protocols: Signal<Vec<String>>,
    /// Reconnect unless this side closed the socket or the close code was 1000. Off by default.
    pub reconnect: Signal<Option<Backoff>>,
    /// Called for every event while the component is mounted; it may use the component's signals.
    pub on_event: Callback<SocketEvent>,
    /// Called for every event, including the close event after cleanup. A plain function, because it outlives the component and
    /// must not use its signals.
    pub observer: fn(&SocketEvent),
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            immediate: true,
            preconnected: None,
            protocols: Signal::stored(Vec::new()),
            reconnect: Signal::stored(None),
            on_event: Callback::new(|_| ()),
            observer: |_| (),
        }
    }
}

/// The return value of [`use_socket`]: signals, and methods to open, send and close.
#[derive(Clone, Copy)]
#[must_use]
pub struct UseSocket {
    /// The socket's state.
    pub state: Signal<SocketState>,
    /// The last message received. A signal holds one value: use [`SocketOptions::on_event`] to get each message.
    pub message: Signal<Option<Payload>>,
    /// The last error; cleared when a new socket is opened.
    pub error: Signal<Option<SocketError>>,
    driver: StoredValue<DriverSlot>,
}

/// Opens a WebSocket for the lifetime of the component, like React's `useEffect(() => { const s = new WebSocket(…); return () =>
/// s.close() }, [])`.
///
/// Wraps the browser's [`WebSocket`](https://developer.mozilla.org/docs/Web/API/WebSocket).
///
/// # Example
///
/// ```
/// # use leptos::prelude::*;
/// # use duplex_leptos::socket::*;
/// #[component]
/// fn Echo() -> impl IntoView {
///     let socket = use_socket(|| "/api/socket".to_owned(), SocketOptions {
///         on_event: Callback::new(move |event| {
///             if let SocketEvent::Received(Payload::Text(text)) = event {
///                 leptos::logging::log!("{text}");
///             }
///         }),
///         ..Default::default()
///     });
///     view! {
///         <button on:click=move |_| { let _ = socket.send("hello"); }>"send"</button>
///         <p>{move || format!("{:?}", socket.state.get())}</p>
///     }
/// }
/// ```
///
/// # Options
///
/// `address` is called at each opening: an absolute `ws:`, `wss:`, `http:` or `https:` URL, or a path on the page's own
/// host. The rest is in [`SocketOptions`]: open at once or later, subprotocols, reconnecting with backoff and jitter, and
/// two ways to receive every event.
///
/// # Mount
///
/// The socket is opened when the component is created, so that the handshake runs during hydration. Events are reported from the
/// mount on, in order, starting with the opening. A page can also open the socket in its HTML, before the wasm module is loaded:
/// [`PreconnectedSocket`].
///
/// # Reconnecting
///
/// With [`SocketOptions::reconnect`], a socket that ended is reopened after a delay, unless this side closed it or the close code was
/// 1000. An `online` event reconnects at once.
///
/// # Cleanup
///
/// The socket is closed with code 1000 when the component is cleaned up, when the page is unloaded or cached (`pagehide`), and when the
/// browser freezes the page. A page that is restored from the back/forward cache or resumed reopens it.
///
/// # On the server
///
/// No socket is opened. `state` is `Connecting`, as in the browser's first paint.
pub fn use_socket(address: impl Fn() -> String + Send + Sync + 'static, mut options: SocketOptions) -> UseSocket {
    let state = RwSignal::new(SocketState::Connecting);
    let message = RwSignal::new(None);
    let error = RwSignal::new(None);
    let slot = DriverSlot::default();
    let reconnect = options.reconnect;

    if !is_server() {
        let (immediate, preconnected) = (options.immediate, options.preconnected.take());
        let driver = Driver::start(Arc::new(address), options, Signals { state, message, error });
        slot.set(Rc::clone(&driver));
        match preconnected {
            Some(preconnected) => driver.attach(preconnected),
            None if immediate => driver.input(Input::Open),
            None => (),
        }
        let slot = slot.clone();
        Effect::new(move |_| send_input(&slot, Input::Mount));
    }
    Effect::new({
        let slot = slot.clone();
        move |_| send_input(&slot, Input::Reconnect(reconnect.get()))
    });
    on_cleanup({
        let slot = slot.clone();
        move || slot.take_and_unmount()
    });

    UseSocket {
        state: state.into(),
        message: message.into(),
        error: error.into(),
        driver: StoredValue::new(slot),
    }
}

fn send_input(slot: &DriverSlot, input: Input) {
    if let Some(driver) = slot.driver() {
        driver.input(input);
    }
}

impl UseSocket {
    /// Opens a socket; the current one is closed with 1000 and its further events are ignored. Does nothing on the server.
    pub fn open(&self) {
        let _ = self.request(Input::Open);
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`SocketError::NotOpen`], unless the socket is open; always on the server.
    pub fn send(&self, payload: impl Into<Payload>) -> Result<(), SocketError> {
        self.request(Input::Send(payload.into()))
    }

    /// Starts the closing handshake, and stops reconnecting. `code`: 1000, or 3000 to 4999; `reason`: at most 123 bytes.
    ///
    /// # Errors
    ///
    /// [`SocketError::Close`] for another code or a longer reason; [`SocketError::NotOpen`] without a socket.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), SocketError> {
        let reason = reason.to_owned();
        self.request(Input::Close { code, reason })
    }

    fn request(&self, input: Input) -> Result<(), SocketError> {
        let driver = self.driver.try_get_value().and_then(|slot| slot.driver());
        driver.map_or(Err(SocketError::NotOpen), |driver| driver.request(input))
    }
}
