//! What is said over a connection, as its engine sees it. Knows no engine, no HTTP and no meaning.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use crate::identity::LoginEnd;

/// Valid UTF-8 that can be shared.
pub use super::websocket::Text;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Text(Text),
    Binary(Bytes),
}

impl Packet {
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

/// Why the server ends a conversation: a close frame's code and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    pub code: u16,
    pub reason: Cow<'static, str>,
}

/// One side of a conversation. What it puts into `out` is sent in that order, all of it with one flush.
pub trait Talk: Send {
    /// Pings come at least so often, and a peer that says nothing for so long is given up; the operator may choose less.
    const PING: Duration;
    const SILENCE: Duration;

    /// A peer that takes nothing of what is sent for this long is given up.
    const STALL: Duration;

    /// Bytes of one message that the peer may send; the operator may choose less.
    const MESSAGE: usize = usize::MAX;

    /// Whether its messages are among those that visitors are shown the number of.
    const COUNTED: bool = true;

    fn hear(&mut self, packet: Packet, out: &mut Vec<Packet>) -> impl Future<Output = Result<(), Farewell>> + Send;

    /// Ready when there is something to say that answers no message. May be dropped and asked for again at any time.
    fn stir(&mut self) -> impl Future<Output = ()> + Send;

    /// Called when `stir` was ready and after messages were heard: a bounded part of what there is to say.
    fn say(&mut self, out: &mut Vec<Packet>) -> impl Future<Output = Result<(), Farewell>> + Send;

    /// The node goes away.
    fn part(&mut self, out: &mut Vec<Packet>) -> Farewell;

    /// The peer's login has ended.
    fn on_login_end(&mut self, end: LoginEnd, _out: &mut Vec<Packet>) -> Farewell {
        end.into()
    }
}

impl From<LoginEnd> for Farewell {
    fn from(LoginEnd { code, reason, .. }: LoginEnd) -> Self {
        Self { code, reason }
    }
}
