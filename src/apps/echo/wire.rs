//! The wire types of the echo page: its paths, its texts and its HTTP form.

use serde::{Deserialize, Serialize};

/// The endpoint that prefixes echoed text with [`REPLY_PREFIX`] and echoes bytes unchanged.
pub const SOCKET_PATH: &str = "/api/socket";
/// The endpoint that answers every message with the same message.
pub const ECHO_PATH: &str = "/api/echo";

/// The text that the page sends when its socket opens.
pub const GREETING: &str = "안녕하세요 서버!";
pub const REPLY_PREFIX: &str = "서버 응답: ";

/// The echo over plain HTTP: the posted text and the reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpEcho {
    #[serde(rename = "said")]
    pub text: String,
    pub reply: String,
}
