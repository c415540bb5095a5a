//! Messages, states, events and errors of a socket.

use std::time::Duration;

use duplex_protocol::code::{CloseError, ClosedBy};

/// A message's payload, text or binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A text message, UTF-8 (RFC 6455 section 5.6, opcode 1).
    Text(String),
    /// A binary message (opcode 2).
    Binary(Vec<u8>),
}

impl Payload {
    /// The content's length in bytes, UTF-8 for a text, without the frame's header.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the message has no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The state of a socket. On the server, where no socket is opened, it is `Connecting`.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketState {
    /// The opening handshake is in progress, or has not started.
    Connecting,
    /// Messages can be sent.
    Open {
        /// The subprotocol that the server chose, or an empty string.
        protocol: String,
        /// The negotiated extensions, as in the `Sec-WebSocket-Extensions` header.
        extensions: String,
    },
    /// This side sent a close frame.
    Closing,
    /// The socket has ended.
    Closed(Closed),
    /// The browser rejected the address, so no socket was opened; see [`UseSocket::error`](super::UseSocket::error).
    Rejected,
}

/// The end of a socket.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// The close code: <https://developer.mozilla.org/docs/Web/API/CloseEvent/code>
    pub code: u16,
    /// The reason of the close frame.
    pub reason: String,
    /// A close frame was received and sent.
    pub was_clean: bool,
    /// The side that ended it.
    pub by: ClosedBy,
    /// The delay until the next attempt, if there is one.
    pub retry_after: Option<Duration>,
}

/// An event of a socket, in either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketEvent {
    /// A socket is being opened.
    Connecting {
        /// The address as it was given: a URL, or a path.
        address: String,
    },
    /// The socket is open.
    Open {
        /// The subprotocol that the server chose, or an empty string.
        protocol: String,
        /// The negotiated extensions.
        extensions: String,
    },
    /// A message was sent.
    Sent(Payload),
    /// A message was received.
    Received(Payload),
    /// This side sent a close frame.
    Closing {
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// The socket has ended.
    Closed(Closed),
    /// An error. If the connection failed, `Closed` follows.
    Error(SocketError),
}

/// An error of opening or using a socket.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SocketError {
    /// The browser rejected the address or the names of the subprotocols.
    #[error("{address} is not the address of a WebSocket, or a subprotocol's name is not a token: {reason}")]
    Address {
        /// The URL.
        address: String,
        /// The browser's message.
        reason: String,
    },
    /// The page was loaded over https, and the address is not `wss:`.
    #[error("a page loaded over https may not open {address}")]
    Insecure {
        /// The URL.
        address: String,
    },
    /// There is no open socket.
    #[error("the socket is not open")]
    NotOpen,
    /// The code or the reason is not valid in a close frame.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// The connection failed. Browsers do not expose the cause:
    /// <https://websockets.spec.whatwg.org/#feedback-from-the-protocol>
    #[error("the connection failed; browsers do not expose the cause")]
    Connection,
}
