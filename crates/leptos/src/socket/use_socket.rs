//! [`use_socket`]: one browser WebSocket owned by one component, opened on mount and closed on cleanup.
//! Knows nothing of topics, sessions or pages.

use std::{sync::Arc, time::Duration};

use leptos::prelude::*;
use send_wrapper::SendWrapper;
use web_sys::WebSocket;

use super::browser_socket::take_begun;
use crate::{
    reconnect::Backoff,
    socket::machine::{Machine, Signals, Slot},
};
use duplex_protocol::code::{CloseRefused, Side};

/// One message: an opcode 1 or an opcode 2 frame's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// Bytes on the wire without the frame's header: UTF-8 for text.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Where the socket stands. Also the whole truth on the server, where no socket is ever opened: `Connecting`.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketState {
    Connecting,
    Open {
        protocol: String,
        extensions: String,
    },
    Closing,
    Closed(Closed),
    /// The browser refused the address: nothing was opened, and `error` says why.
    Refused,
}

/// How a socket ended, and whether another follows by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    pub code: u16,
    pub reason: String,
    /// A close frame was received and sent.
    pub was_clean: bool,
    pub by: Side,
    /// The delay until the next attempt, when reconnecting is on.
    pub retry: Option<Duration>,
}

/// Everything that happens to the socket, in order, in both directions.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketEvent {
    Connecting { address: String },
    Open { protocol: String, extensions: String },
    Sent(Payload),
    Received(Payload),
    Closing { code: u16, reason: String },
    Closed(Closed),
    Error(SocketError),
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SocketError {
    #[error("{address} is not the address of a WebSocket, or a subprotocol's name is not a token: {why}")]
    Address { address: String, why: String },
    #[error("a page loaded over https may not open {address}")]
    Insecure { address: String },
    #[error("the socket is not open")]
    NotOpen,
    #[error(transparent)]
    Close(#[from] CloseRefused),
    #[error("the connection failed; a browser is not told why")]
    Connection,
}

/// A socket that a script in the page's HTML began to open, so that the handshake does not wait for this code to come.
#[derive(Clone)]
pub struct Begun {
    /// As [`SocketEvent::Connecting`] tells it.
    pub address: String,
    pub socket: SendWrapper<WebSocket>,
}

impl Begun {
    /// The one at `window.begun`, if there is one that has not ended. `address` makes a path of its URL.
    pub fn take(address: impl FnOnce(&str) -> Option<String>) -> Option<Self> {
        let socket = (!is_server()).then(take_begun).flatten()?;
        let address = address(&socket.url())?;
        let socket = SendWrapper::new(socket);
        Some(Self { address, socket })
    }
}

/// The options of [`use_socket`].
#[derive(Clone)]
pub struct SocketOptions {
    /// Open on mount; otherwise at the first [`UseSocket::open`].
    pub immediate: bool,
    /// Taken over on mount in place of a new one.
    pub begun: Option<Begun>,
    /// Subprotocols to offer, in order of preference; read at each opening.
    pub protocols: Signal<Vec<String>>,
    /// Open again after an end that this side did not ask for, other than a close with 1000.
    pub reconnect: Signal<Option<Backoff>>,
    /// Hears every event while the component lives; may use its signals.
    pub on_event: Callback<SocketEvent>,
    /// Hears every event, that of the end after cleanup too. A plain function: it outlives the component, so it must
    /// not reach its signals.
    pub observer: fn(&SocketEvent),
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            immediate: true,
            begun: None,
            protocols: Signal::stored(Vec::new()),
            reconnect: Signal::stored(None),
            on_event: Callback::new(|_| ()),
            observer: |_| (),
        }
    }
}

/// What [`use_socket`] returns: signals to read and the four things one can do.
#[derive(Clone, Copy)]
pub struct UseSocket {
    pub state: Signal<SocketState>,
    /// The last message received. Signals hold one value: take [`SocketOptions::on_event`] to see each message.
    pub message: Signal<Option<Payload>>,
    /// The last error; a new opening clears it.
    pub error: Signal<Option<SocketError>>,
    slot: StoredValue<Slot>,
}

/// A WebSocket as an effect of a component: React's `useEffect(() => { const s = new WebSocket(…); return () => s.close() }, [])`.
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
/// two ways to hear every event.
///
/// # Mount
///
/// The browser is asked for the socket as the component is built, so that the handshake goes on while the page comes to life.
/// What happens is told from the mount on, in order, the opening first. A page can go further and begin to open the socket in its HTML,
/// before this code has come: [`Begun`].
///
/// # Cleanup
///
/// When the component's owner goes, and when the page does (`pagehide`), the socket is closed with code 1000. A page that
/// comes back from the back/forward cache opens it again.
///
/// # On the server
///
/// Nothing is opened; `state` is `Connecting`, which is what the browser's first paint shows too.
pub fn use_socket(address: impl Fn() -> String + Send + Sync + 'static, mut options: SocketOptions) -> UseSocket {
    let state = RwSignal::new(SocketState::Connecting);
    let message = RwSignal::new(None);
    let error = RwSignal::new(None);
    let slot = Slot::default();

    if !is_server() {
        let (immediate, begun) = (options.immediate, options.begun.take());
        let machine = Machine::new(Arc::new(address), options.clone(), Signals { state, message, error });
        slot.put(machine.clone());
        let mut dialled = match begun {
            Some(begun) => Some(machine.take_over(begun)),
            None => immediate.then(|| machine.dial()),
        };
        Effect::new({
            let slot = slot.clone();
            move |_| {
                if let Some(dialled) = dialled.take() {
                    slot.with(|machine| machine.announce(dialled));
                }
            }
        });
    }
    Effect::new({
        let slot = slot.clone();
        move |_| {
            if options.reconnect.get().is_some() {
                slot.with(|machine| machine.retry_if_lost());
            } else {
                slot.with(Machine::cancel_retry);
            }
        }
    });
    on_cleanup({
        let slot = slot.clone();
        move || slot.end()
    });

    UseSocket {
        state: state.into(),
        message: message.into(),
        error: error.into(),
        slot: StoredValue::new(slot),
    }
}

impl UseSocket {
    /// Opens a socket; one that is there is closed with 1000 and forgotten.
    pub fn open(&self) {
        self.with(|machine| machine.open());
    }

    pub fn send(&self, payload: impl Into<Payload>) -> Result<(), SocketError> {
        let payload = payload.into();
        self.with(|machine| machine.send(payload))
            .unwrap_or(Err(SocketError::NotOpen))
    }

    /// Starts the closing handshake, and stops any reconnecting.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), SocketError> {
        self.with(|machine| machine.close(code, reason))
            .unwrap_or(Err(SocketError::NotOpen))
    }

    fn with<T>(&self, act: impl FnOnce(&Machine) -> T) -> Option<T> {
        self.slot.try_get_value().and_then(|slot| slot.with(act))
    }
}
