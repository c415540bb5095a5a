//! The server's record of a connection: its opening handshake (RFC 6455 section 4) and its end.

use serde::{Deserialize, Serialize};

use super::code::ClosedBy;

/// The query parameter with the trace id under which a page can later fetch its [`Handshake`].
pub const TRACE_PARAMETER: &str = "trace";

/// A URL or a request target, without its query if the query starts with the trace parameter. The trace id gives access to the
/// record, so it is neither displayed nor logged.
pub fn without_trace(target: &str) -> &str {
    let plain = target
        .split_once('?')
        .filter(|(_, query)| query.starts_with(TRACE_PARAMETER));
    plain.map_or(target, |(path, _)| path)
}

/// Maximum length of a trace id, in bytes; the server ignores a longer one.
pub const MAX_TRACE: usize = 64;

/// The opening handshake of a connection (RFC 6455 section 4), as the server observed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The server's id of the connection, as in its log.
    pub connection: String,
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub opened_at: u64,
    /// The peer's address as the server sees it: a proxy's where there is one.
    pub peer: Option<String>,
    /// The request's method: `GET`, or `CONNECT` over HTTP/2 (RFC 8441).
    pub method: String,
    /// Path and query. An unknown parameter is replaced by its size.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The request's headers in the order received. Values that are not part of the handshake, such as cookies and tokens, are replaced
    /// by their size.
    pub request: Vec<(String, String)>,
    /// The response's status code.
    pub status: u16,
    /// The response's headers.
    pub response: Vec<(String, String)>,
    /// The negotiated subprotocol (RFC 6455 section 1.9).
    pub subprotocol: Option<String>,
    /// `None` while the connection is open.
    pub ended: Option<ConnectionEnd>,
}

/// The end of a connection, as the server observed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionEnd {
    /// The side that sent the first close frame.
    pub by: ClosedBy,
    /// The close code, if either side sent a close frame with one.
    pub code: Option<u16>,
    /// The close reason; empty if there is none.
    pub reason: String,
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_fuzz::{fuzz, fuzz_text};

    /// A page decodes the records that the server encodes.
    #[test]
    fn records_round_trip() {
        fuzz("handshakes", |bytes| {
            if let Ok(record) = serde_json::from_slice::<Handshake>(bytes) {
                let written = serde_json::to_vec(&record).unwrap();
                assert_eq!(serde_json::from_slice::<Handshake>(&written).unwrap(), record);
            }
        });
        fuzz_text("queries", |text| assert!(text.starts_with(without_trace(text))));
    }

    #[test]
    fn only_a_query_with_a_trace_is_removed() {
        assert_eq!(without_trace("/api/socket?trace=0123"), "/api/socket");
        assert_eq!(without_trace("/api/socket"), "/api/socket");
        assert_eq!(without_trace("wss://example.org/?room=1"), "wss://example.org/?room=1");
    }
}
