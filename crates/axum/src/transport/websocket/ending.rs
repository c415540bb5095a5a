//! The closing handshake: the peer is told why, and the stream is not cut while the peer may still be reading.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as EngineError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as EngineCloseFrame, Message as EngineMessage};

use super::{Message, Raw, Socket, Text};
use crate::limits;
use crate::transport::handler::CloseFrame;
use duplex_protocol::code::{self, MAX_REASON, Side};

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndCause {
    #[error("the peer closed")]
    Closed(Option<EngineCloseFrame>),
    /// As [`Self::Closed`], with a registered code that the engine does not know and answers wrongly.
    #[error("the peer closed")]
    ClosedAs(u16, String),
    /// The server closes; the peer is expected to answer its close frame.
    #[error("{1}")]
    Leave(u16, Cow<'static, str>),
    /// The server closes and reads no further, as after a protocol error.
    #[error("{1}")]
    Refuse(u16, Cow<'static, str>),
    /// The peer does not read. The close frame is there should it begin to.
    #[error("{0}")]
    Stuck(Cow<'static, str>),
    /// Nothing can be sent any more.
    #[error("{0}")]
    Lost(Cow<'static, str>),
}

impl EndCause {
    /// The engine's error as the close code of RFC 6455 section 7.4.1.
    pub(super) fn from_engine(error: EngineError, max_message: usize) -> Self {
        match error {
            EngineError::Capacity(CapacityError::MessageTooLong { .. }) => {
                Self::Refuse(code::TOO_BIG, format!("a message may have {max_message} bytes").into())
            }
            EngineError::Utf8(_) => Self::Refuse(code::INVALID_PAYLOAD, "text must be valid UTF-8".into()),
            EngineError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | EngineError::ConnectionClosed
            | EngineError::AlreadyClosed => Self::Lost("the connection ended without a close frame".into()),
            EngineError::Protocol(error) => Self::Refuse(code::PROTOCOL_ERROR, error.to_string().into()),
            EngineError::Io(error) => Self::Lost(error.to_string().into()),
            other => Self::Refuse(code::INTERNAL_ERROR, other.to_string().into()),
        }
    }
}

impl From<CloseFrame> for EndCause {
    fn from(CloseFrame { code, reason }: CloseFrame) -> Self {
        Self::Leave(code, reason)
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionEnd {
    /// Who sent the first close frame.
    pub by: Side,
    pub code: Option<u16>,
    pub reason: Cow<'static, str>,
}

impl ConnectionEnd {
    /// Without a close frame from either side.
    pub(crate) fn lost(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            by: Side::Network,
            code: None,
            reason: reason.into(),
        }
    }
}

/// The close reason of the largest holder of the node's full buffers.
pub(super) const FULL: &str = "the node's buffers are full, and this connection held the most of them";

/// A duration in a close reason.
pub(super) fn humantime(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

impl From<Message> for EngineMessage {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

pub(super) fn full() -> EndCause {
    EndCause::Refuse(code::TRY_AGAIN, FULL.into())
}

/// Performs the closing handshake that the cause asks for.
pub(super) async fn finish(mut socket: Socket, stop: EndCause) -> (ConnectionEnd, ClosingStream) {
    let end = match stop {
        EndCause::Lost(reason) => return (ConnectionEnd::lost(reason), ClosingStream(None)),
        EndCause::Stuck(reason) => {
            let told = timeout(limits::CLOSE_WAIT, socket.send(close(code::SLOW, &reason))).await;
            if !matches!(told, Ok(Ok(()))) {
                return (ConnectionEnd::lost(reason), ClosingStream(None));
            }
            ConnectionEnd {
                by: Side::Server,
                code: Some(code::SLOW),
                reason,
            }
        }
        EndCause::Closed(frame) => {
            let _ = timeout(limits::CLOSE_WAIT, socket.flush()).await;
            closed_by_client(frame)
        }
        EndCause::ClosedAs(code, reason) => {
            let mut raw = socket.into_inner();
            let _ = timeout(limits::CLOSE_WAIT, raw.write_all(&close_bytes(code, &reason))).await;
            let end = ConnectionEnd {
                by: Side::Client,
                code: Some(code),
                reason: reason.into(),
            };
            return (end, ClosingStream(Some(raw)));
        }
        EndCause::Leave(code, reason) => {
            let _ = timeout(limits::CLOSE_WAIT, close_and_wait(&mut socket, code, &reason)).await;
            ConnectionEnd {
                by: Side::Server,
                code: Some(code),
                reason,
            }
        }
        EndCause::Refuse(code, reason) => {
            let _ = timeout(limits::CLOSE_WAIT, socket.send(close(code, &reason))).await;
            ConnectionEnd {
                by: Side::Server,
                code: Some(code),
                reason,
            }
        }
    };
    (end, ClosingStream(Some(socket.into_inner())))
}

fn closed_by_client(frame: Option<EngineCloseFrame>) -> ConnectionEnd {
    let (code, reason) = frame.map_or((None, String::new()), |EngineCloseFrame { code, reason }| {
        (Some(code.into()), reason.as_str().to_owned())
    });
    ConnectionEnd {
        by: Side::Client,
        code,
        reason: reason.into(),
    }
}

/// An unmasked close frame. The reason fits: it came in one.
fn close_bytes(code: u16, reason: &str) -> Vec<u8> {
    let mut bytes = vec![0x88, 2 + reason.len() as u8];
    bytes.extend(code.to_be_bytes());
    bytes.extend(reason.as_bytes());
    bytes
}

fn close(code: u16, reason: &str) -> EngineMessage {
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
    EngineMessage::Close(Some(EngineCloseFrame {
        code: code.into(),
        reason: Text::from(reason),
    }))
}

/// Sends a close frame and drops what the peer sends before it answers.
async fn close_and_wait(socket: &mut Socket, code: u16, reason: &str) -> Result<(), EngineError> {
    socket.send(close(code, reason)).await?;
    while socket.next().await.transpose()?.is_some() {}
    Ok(())
}

/// The stream after the closing handshake, if it still exists.
pub(crate) struct ClosingStream(Option<Raw>);

impl ClosingStream {
    /// Shuts down the server's half, then waits a while for the peer to close.
    pub(crate) async fn hang_up(self) {
        if let Some(raw) = self.0 {
            let _ = timeout(limits::LINGER, linger(raw)).await;
        }
    }
}

/// Reads until the peer closes: dropping the stream with bytes unread would reset it.
async fn linger(mut raw: Raw) -> io::Result<()> {
    raw.shutdown().await?;
    let mut dropped = 0;
    let mut waste = vec![0; limits::READ_BUFFER];
    while dropped < limits::LINGER_BYTES {
        match raw.read(&mut waste).await? {
            0 => break,
            read => dropped += read,
        }
    }
    Ok(())
}
