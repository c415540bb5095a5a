//! The closing handshake: sends the close frame, and keeps the stream open while the peer may still read.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as TungsteniteError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as TungsteniteCloseFrame, Message as TungsteniteMessage};

use super::{Message, RawStream, Socket, Text};
use crate::limits;
use crate::transport::handler::CloseFrame;
use duplex_protocol::code::{self, ClosedBy, MAX_REASON};

/// Why a connection ends, which determines how it is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseCause {
    #[error("the peer closed")]
    ClosedByPeer(Option<TungsteniteCloseFrame>),
    /// Like [`Self::ClosedByPeer`], with a registered code that tungstenite does not know and answers incorrectly.
    #[error("the peer closed")]
    ClosedWithUnknownCode(u16, String),
    /// The server closes, and waits for the peer's close frame.
    #[error("{1}")]
    Close(u16, Cow<'static, str>),
    /// The server closes and stops reading, as after a protocol error.
    #[error("{1}")]
    Fail(u16, Cow<'static, str>),
    /// The peer does not read. The close frame is sent in case it starts to.
    #[error("{0}")]
    Stalled(Cow<'static, str>),
    /// The connection is lost: nothing can be sent.
    #[error("{0}")]
    Lost(Cow<'static, str>),
}

impl CloseCause {
    /// Maps tungstenite's error to a close code of RFC 6455 section 7.4.1.
    pub(super) fn from_tungstenite(error: TungsteniteError, max_message: usize) -> Self {
        match error {
            TungsteniteError::Capacity(CapacityError::MessageTooLong { .. }) => {
                Self::Fail(code::TOO_BIG, format!("a message may have {max_message} bytes").into())
            }
            TungsteniteError::Utf8(_) => Self::Fail(code::INVALID_PAYLOAD, "text must be valid UTF-8".into()),
            TungsteniteError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | TungsteniteError::ConnectionClosed
            | TungsteniteError::AlreadyClosed => Self::Lost("the connection ended without a close frame".into()),
            TungsteniteError::Protocol(error) => Self::Fail(code::PROTOCOL_ERROR, error.to_string().into()),
            TungsteniteError::Io(error) => Self::Lost(error.to_string().into()),
            other => Self::Fail(code::INTERNAL_ERROR, other.to_string().into()),
        }
    }
}

impl From<CloseFrame> for CloseCause {
    fn from(CloseFrame { code, reason }: CloseFrame) -> Self {
        Self::Close(code, reason)
    }
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloseInfo {
    /// The side that sent the first close frame.
    pub by: ClosedBy,
    pub code: Option<u16>,
    pub reason: Cow<'static, str>,
}

impl CloseInfo {
    /// The end of a connection without a close frame from either side.
    pub(crate) fn lost(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            by: ClosedBy::Network,
            code: None,
            reason: reason.into(),
        }
    }
}

/// Close reason when the node's buffer budget is exhausted and this connection holds the largest share.
pub(super) const BUFFERS_FULL: &str = "the node's buffers are full, and this connection held the most of them";

/// Formats a duration for a close reason.
pub(super) fn format_seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

impl From<Message> for TungsteniteMessage {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

pub(super) fn buffers_full() -> CloseCause {
    CloseCause::Fail(code::TRY_AGAIN, BUFFERS_FULL.into())
}

/// Performs the closing handshake for `cause`.
pub(super) async fn close(mut socket: Socket, cause: CloseCause) -> (CloseInfo, ClosingStream) {
    let end = match cause {
        CloseCause::Lost(reason) => return (CloseInfo::lost(reason), ClosingStream(None)),
        CloseCause::Stalled(reason) => {
            let sent = timeout(limits::CLOSE_TIMEOUT, socket.send(close_message(code::SLOW, &reason))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return (CloseInfo::lost(reason), ClosingStream(None));
            }
            CloseInfo {
                by: ClosedBy::Server,
                code: Some(code::SLOW),
                reason,
            }
        }
        CloseCause::ClosedByPeer(frame) => {
            let _ = timeout(limits::CLOSE_TIMEOUT, socket.flush()).await;
            end_by_client(frame)
        }
        CloseCause::ClosedWithUnknownCode(code, reason) => {
            let mut raw = socket.into_inner();
            let _ = timeout(limits::CLOSE_TIMEOUT, raw.write_all(&encode_close_frame(code, &reason))).await;
            let end = CloseInfo {
                by: ClosedBy::Client,
                code: Some(code),
                reason: reason.into(),
            };
            return (end, ClosingStream(Some(raw)));
        }
        CloseCause::Close(code, reason) => {
            let _ = timeout(limits::CLOSE_TIMEOUT, close_and_wait(&mut socket, code, &reason)).await;
            CloseInfo {
                by: ClosedBy::Server,
                code: Some(code),
                reason,
            }
        }
        CloseCause::Fail(code, reason) => {
            let _ = timeout(limits::CLOSE_TIMEOUT, socket.send(close_message(code, &reason))).await;
            CloseInfo {
                by: ClosedBy::Server,
                code: Some(code),
                reason,
            }
        }
    };
    (end, ClosingStream(Some(socket.into_inner())))
}

fn end_by_client(frame: Option<TungsteniteCloseFrame>) -> CloseInfo {
    let (code, reason) = frame.map_or((None, String::new()), |TungsteniteCloseFrame { code, reason }| {
        (Some(code.into()), reason.as_str().to_owned())
    });
    CloseInfo {
        by: ClosedBy::Client,
        code,
        reason: reason.into(),
    }
}

/// An unmasked close frame. The reason fits, since it was received in a close frame.
fn encode_close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut bytes = vec![0x88, 2 + reason.len() as u8];
    bytes.extend(code.to_be_bytes());
    bytes.extend(reason.as_bytes());
    bytes
}

fn close_message(code: u16, reason: &str) -> TungsteniteMessage {
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
    TungsteniteMessage::Close(Some(TungsteniteCloseFrame {
        code: code.into(),
        reason: Text::from(reason),
    }))
}

/// Sends a close frame, and drops the peer's messages until its close frame arrives.
async fn close_and_wait(socket: &mut Socket, code: u16, reason: &str) -> Result<(), TungsteniteError> {
    socket.send(close_message(code, reason)).await?;
    while socket.next().await.transpose()?.is_some() {}
    Ok(())
}

/// The stream after the closing handshake, if it still exists.
pub(crate) struct ClosingStream(Option<RawStream>);

impl ClosingStream {
    /// Shuts down the server's half, then waits up to [`limits::LINGER`] for the peer to close.
    pub(crate) async fn linger(self) {
        if let Some(raw) = self.0 {
            let _ = timeout(limits::LINGER, read_to_end(raw)).await;
        }
    }
}

/// Reads until the peer closes: dropping the stream with unread bytes would reset it.
async fn read_to_end(mut raw: RawStream) -> io::Result<()> {
    raw.shutdown().await?;
    let mut dropped = 0;
    let mut buffer = vec![0; limits::READ_BUFFER];
    while dropped < limits::LINGER_BYTES {
        match raw.read(&mut buffer).await? {
            0 => break,
            read => dropped += read,
        }
    }
    Ok(())
}
