//! The interface between a WebSocket connection and the handler that runs on it: messages, and the close frame.

use std::borrow::Cow;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use duplex_hub::topic::{DirectWriter, Frame};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::subprotocol::Subprotocol;

use crate::identity::LoginEnd;

/// UTF-8 text that is cheap to clone.
pub use super::websocket::Text;

/// A complete WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(Text),
    /// A binary message.
    Binary(Bytes),
    /// A frame of a topic in this encoding. Compressed once for all its receivers.
    Frame(Encoding, Frame),
}

impl Message {
    /// The payload, as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
            Self::Frame(_, frame) => frame,
        }
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The close frame with which the server ends a connection (RFC 6455 section 5.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// A close code: see [`duplex_protocol::code`].
    pub code: u16,
    /// English text for developers and logs. More than 123 bytes are cut off.
    pub reason: Cow<'static, str>,
}

impl CloseFrame {
    /// A close frame.
    #[must_use]
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// The server side of a WebSocket connection. All methods run on the connection's task, one at a time, and must not block it.
///
/// Messages that a method pushes to `out` are sent in this order, with one flush. The connection answers and sends pings, closes
/// when the caller's login ends, and drains on shutdown.
///
/// ```
/// use duplex_axum::websocket::{CloseFrame, ConnectionHandler, Message};
///
/// /// Sends every message back.
/// struct Echo;
///
/// impl ConnectionHandler for Echo {
///     async fn on_message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
///         out.push(message);
///         Ok(())
///     }
/// }
/// ```
pub trait ConnectionHandler: Send {
    /// Maximum ping interval. [`Settings::ping_interval`](crate::Settings::ping_interval) applies if it is shorter.
    const PING_INTERVAL: Duration = Duration::MAX;

    /// A peer that sends no byte for this time, not even a pong, is closed with 3008.
    /// [`Settings::silence_limit`](crate::Settings::silence_limit) applies if it is shorter.
    const SILENCE_LIMIT: Duration = Duration::MAX;

    /// A peer that reads nothing for this time while messages are to be sent is disconnected. If this is shorter than
    /// [`Settings::silence_limit`](crate::Settings::silence_limit), the peer is sent close code 4000; otherwise `silence_limit`
    /// applies and the connection is aborted.
    const STALL_LIMIT: Duration = Duration::MAX;

    /// Maximum size of a message from the peer, in bytes; a larger one closes the connection with 1009.
    /// [`Settings::max_message`](crate::Settings::max_message) applies if it is less.
    const MAX_MESSAGE: usize = usize::MAX;

    /// Whether messages are compressed for a client that agreed to it (RFC 7692). Messages with their own compact encoding, sent often
    /// and to one receiver each, are not worth the CPU time.
    const COMPRESSED: bool = true;

    /// Whether messages are counted in [`Counters`](crate::connection::Counters).
    const COUNTED: bool = true;

    /// Handles a message from the peer.
    ///
    /// # Errors
    ///
    /// The close frame that ends the connection, after the messages in `out`.
    fn on_message(
        &mut self,
        message: Message,
        out: &mut Vec<Message>,
    ) -> impl Future<Output = Result<(), CloseFrame>> + Send;

    /// Completes when there are unsolicited messages to send. Must be cancel-safe: it is dropped and called again whenever another
    /// event occurs. Never completes by default.
    fn ready(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// Called when [`ready`](Self::ready) completes, and after messages were handled. Writes a bounded part of the pending messages; it is
    /// called again for the rest if `ready` completes at once. Writes nothing by default.
    ///
    /// # Errors
    ///
    /// The close frame that ends the connection, after the messages in `out`.
    fn write(&mut self, _out: &mut Vec<Message>) -> impl Future<Output = Result<(), CloseFrame>> + Send {
        ready(Ok(()))
    }

    /// Called once, if topics may write to the connection while the handler is idle. Returns the protocol of their frames.
    #[doc(hidden)]
    fn attach(&mut self, _writer: Arc<dyn DirectWriter>) -> Option<Subprotocol> {
        None
    }

    /// Hands the handler's positions in its topics over, before the connection waits.
    #[doc(hidden)]
    fn park(&mut self) {}

    /// Takes the positions back, when the connection has something to do.
    #[doc(hidden)]
    fn unpark(&mut self) {}

    /// The last messages and the close frame when the node shuts down: 1001 by default.
    fn on_shutdown(&mut self, _out: &mut Vec<Message>) -> CloseFrame {
        CloseFrame::new(code::GOING_AWAY, "the server is going away")
    }

    /// The last messages and the close frame when the caller's login ends: those of the [`LoginEnd`] by default.
    fn on_login_end(&mut self, end: LoginEnd, _out: &mut Vec<Message>) -> CloseFrame {
        end.into()
    }
}

impl From<LoginEnd> for CloseFrame {
    fn from(LoginEnd { code, reason, .. }: LoginEnd) -> Self {
        Self { code, reason }
    }
}
