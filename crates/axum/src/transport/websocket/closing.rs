//! The closing handshake: sends the close frame, and keeps the stream open while the peer may still read.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::codec::{DecodeError, Incoming, Text, close_frame};
use super::socket::{ClosedStream, Readiness, Socket};
use crate::limits;
use crate::transport::handler::CloseFrame;
use duplex_protocol::code::{self, ClosedBy};

/// Why a connection ends, which determines how it is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseCause {
    #[error("the peer closed")]
    ClosedByPeer(Option<(u16, Text)>),
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

impl From<DecodeError> for CloseCause {
    fn from(error: DecodeError) -> Self {
        Self::Fail(error.code(), error.to_string().into())
    }
}

impl From<io::Error> for CloseCause {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string().into())
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

pub(super) fn buffers_full() -> CloseCause {
    CloseCause::Fail(code::TRY_AGAIN, BUFFERS_FULL.into())
}

/// Performs the closing handshake for `cause`.
pub(super) async fn close(mut socket: Socket, cause: CloseCause) -> (CloseInfo, ClosingStream) {
    let by_server = |code, reason| CloseInfo {
        by: ClosedBy::Server,
        code: Some(code),
        reason,
    };
    let end = match cause {
        CloseCause::Lost(reason) => return (CloseInfo::lost(reason), ClosingStream(None)),
        CloseCause::Stalled(reason) => {
            let sent = timeout(limits::CLOSE_TIMEOUT, send_close(&mut socket, code::SLOW, &reason)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return (CloseInfo::lost(reason), ClosingStream(None));
            }
            by_server(code::SLOW, reason)
        }
        CloseCause::ClosedByPeer(frame) => {
            let (code, reason) = frame.unzip();
            let answer = send_close(
                &mut socket,
                code.unwrap_or(code::NO_STATUS),
                reason.as_deref().unwrap_or_default(),
            );
            let _ = timeout(limits::CLOSE_TIMEOUT, answer).await;
            CloseInfo {
                by: ClosedBy::Client,
                code,
                reason: reason.map(|reason| reason.to_string()).unwrap_or_default().into(),
            }
        }
        CloseCause::Close(code, reason) => {
            let _ = timeout(limits::CLOSE_TIMEOUT, close_and_wait(&mut socket, code, &reason)).await;
            by_server(code, reason)
        }
        CloseCause::Fail(code, reason) => {
            let _ = timeout(limits::CLOSE_TIMEOUT, send_close(&mut socket, code, &reason)).await;
            by_server(code, reason)
        }
    };
    (end, ClosingStream(Some(socket.into_stream())))
}

async fn send_close(socket: &mut Socket, code: u16, reason: &str) -> io::Result<()> {
    socket.feed_frame(&close_frame(code, reason));
    socket.flush().await
}

/// Sends a close frame, and drops the peer's messages until its close frame arrives, or it violates the protocol.
async fn close_and_wait(socket: &mut Socket, code: u16, reason: &str) -> io::Result<()> {
    send_close(socket, code, reason).await?;
    while socket.readiness().await? != Readiness::End {
        loop {
            match socket.next_message() {
                Ok(Some(Incoming::Close(_))) | Err(_) => return Ok(()),
                Ok(Some(_)) => {}
                Ok(None) => break,
            }
        }
    }
    Ok(())
}

/// The stream after the closing handshake, if it still exists.
pub(crate) struct ClosingStream(Option<ClosedStream>);

impl ClosingStream {
    /// Shuts down the server's half, then waits up to [`limits::LINGER`] for the peer to close.
    pub(crate) async fn linger(self) {
        if let Some(raw) = self.0 {
            let _ = timeout(limits::LINGER, read_to_end(raw)).await;
        }
    }
}

/// Reads until the peer closes: dropping the stream with unread bytes would reset it.
async fn read_to_end(mut raw: ClosedStream) -> io::Result<()> {
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
