//! A connection as the server saw it: its opening handshake (RFC 6455 section 4) and, later, its end.

use serde::{Deserialize, Serialize};

use super::code::Side;

/// The query parameter by which a page names its connection, so that it can ask for its [`Handshake`].
pub const TRACE_PARAMETER: &str = "trace";

/// An address or a request's target without its trace: the key to a record is not shown where others may read along.
pub fn without_trace(target: &str) -> &str {
    let plain = target
        .split_once('?')
        .filter(|(_, query)| query.starts_with(TRACE_PARAMETER));
    plain.map_or(target, |(path, _)| path)
}

/// The longest trace the server keeps; a longer one is ignored.
pub const MAX_TRACE: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The server's name for the connection, as in its log.
    pub connection: String,
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub opened_at: u64,
    /// The peer's address as the server sees it: a proxy's where there is one.
    pub peer: Option<String>,
    pub method: String,
    /// Path and query. A parameter that the server does not know is replaced by its size.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// In the order received. Values that do not explain the handshake, such as cookies and tokens, are replaced by their size.
    pub request: Vec<(String, String)>,
    pub status: u16,
    pub response: Vec<(String, String)>,
    pub subprotocol: Option<String>,
    pub ended: Option<Ended>,
}

/// How the server saw the connection end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Who sent the first close frame.
    pub by: Side,
    pub code: Option<u16>,
    pub reason: String,
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_fuzz::{fuzz, fuzz_text};

    /// The page reads what the server recorded.
    #[test]
    fn no_record_breaks_the_page() {
        fuzz("handshakes", |bytes| {
            if let Ok(record) = serde_json::from_slice::<Handshake>(bytes) {
                let written = serde_json::to_vec(&record).unwrap();
                assert_eq!(serde_json::from_slice::<Handshake>(&written).unwrap(), record);
            }
        });
        fuzz_text("queries", |text| assert!(text.starts_with(without_trace(text))));
    }

    #[test]
    fn only_the_trace_is_taken_away() {
        assert_eq!(without_trace("/api/socket?trace=0123"), "/api/socket");
        assert_eq!(without_trace("/api/socket"), "/api/socket");
        assert_eq!(without_trace("wss://example.org/?room=1"), "wss://example.org/?room=1");
    }
}
