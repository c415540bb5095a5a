//! What the echo page and the server agree on.

use serde::{Deserialize, Serialize};

/// Answers a text with [`REPLY_PREFIX`] before it, and bytes with the same bytes.
pub const SOCKET_PATH: &str = "/api/socket";
/// Answers every message with the same message.
pub const ECHO_PATH: &str = "/api/echo";

/// What the page says when its socket opens.
pub const GREETING: &str = "안녕하세요 서버!";
pub const REPLY_PREFIX: &str = "서버 응답: ";

/// The echo over plain HTTP: what was posted and what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpEcho {
    pub said: String,
    pub reply: String,
}
