//! A connection as the server saw it: its opening handshake (RFC 6455 section 4) and, later, its end.

use serde::{Deserialize, Serialize};

use super::code::Side;

/// The query parameter by which a page names its connection, to ask for its [`Handshake`] later.
pub const TRACE_PARAMETER: &str = "trace";

/// A URL or a request's target without its query if that begins with a trace. The trace is the key to the record and is not shown
/// or logged.
pub fn without_trace(target: &str) -> &str {
    let plain = target
        .split_once('?')
        .filter(|(_, query)| query.starts_with(TRACE_PARAMETER));
    plain.map_or(target, |(path, _)| path)
}

/// The longest trace that a server keeps, in bytes; a longer one is ignored.
pub const MAX_TRACE: usize = 64;

/// The opening handshake of a connection (RFC 6455 section 4), as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The server's name for the connection, as in its log.
    pub connection: String,
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub opened_at: u64,
    /// The peer's address as the server sees it: a proxy's where there is one.
    pub peer: Option<String>,
    /// The request's method: `GET`, or `CONNECT` over HTTP/2 (RFC 8441).
    pub method: String,
    /// Path and query. A parameter that the server does not know is replaced by its size.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The request's headers in the order received. Values that do not explain the handshake, such as cookies and tokens, are replaced by their size.
    pub request: Vec<(String, String)>,
    /// The response's status code.
    pub status: u16,
    /// The response's headers.
    pub response: Vec<(String, String)>,
    /// The negotiated subprotocol (RFC 6455 section 1.9).
    pub subprotocol: Option<String>,
    /// None while the connection is open.
    pub ended: Option<Ended>,
}

/// The end of a connection, as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Who sent the first close frame.
    pub by: Side,
    /// The close code, if a close frame with one came or went.
    pub code: Option<u16>,
    /// The close reason, or an empty text.
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
