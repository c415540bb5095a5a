//! The HTTP interface of the measurements: paths, labels, counts and limits, shared by browser and server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST`: echoes the body. With `close=1` the server closes the connection after the response.
pub const ECHO_PATH: &str = "/api/compare/echo";
/// `GET …?bytes=N`: a document of N bytes, cacheable and revalidated with its ETag.
pub const DOCUMENT_PATH: &str = "/api/compare/document";
/// `POST …?box=B`: appends the body to a mailbox, which [`VALUE_PATH`], [`EVENTS_PATH`], [`POLL_PATH`] and [`WATCH_PATH`] read.
pub const SEND_PATH: &str = "/api/compare/say";
/// `GET`: the newest message of a mailbox.
pub const VALUE_PATH: &str = "/api/compare/value";
/// `GET`: the new messages of a mailbox, as server-sent events.
pub const EVENTS_PATH: &str = "/api/compare/events";
/// `GET …?after=N`: long-polls for mailbox messages numbered above N.
pub const POLL_PATH: &str = "/api/compare/poll";
/// A WebSocket that sends each new message of a mailbox.
pub const WATCH_PATH: &str = "/api/compare/watch";
/// `GET …/{run}`: the [`RunCounts`].
pub const RUNS_PATH: &str = "/api/compare/runs";

/// The cookie `measured=RUN.TRANSPORT`, which labels requests whose URL the page cannot choose. Its `Path` attribute limits it to
/// those requests.
pub const LABEL_COOKIE: &str = "measured";

/// Minimum and maximum bytes of a message. Its first 8 bytes are its number in hexadecimal.
pub const MIN_PAYLOAD: usize = 16;
pub const MAX_PAYLOAD: usize = 16 << 10;
/// Maximum bytes of a document: enough to measure a download, but quick on a phone.
pub const MAX_DOCUMENT: usize = 2 << 20;
/// Maximum bytes of a document in one WebSocket message.
pub const MAX_CHUNK: usize = 64 << 10;
/// Maximum length of the name of a transport or a mailbox.
pub const MAX_NAME: usize = 16;

/// The server's counts of a run, by transport.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// CPU time of the whole server process since its start, in microseconds, for all visitors.
    pub cpu_us: u64,
    #[serde(rename = "ways")]
    pub transports: BTreeMap<String, TrafficCounts>,
}

/// Bytes that the server's sockets read and wrote, with request lines, headers and frames, but without TLS and TCP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficCounts {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub requests: u64,
    /// Connections whose first request belongs to this transport.
    pub opened: u64,
    /// How often the transport continued on a connection that other requests had used.
    pub reused: u64,
    /// Requests over HTTP/2. Their bytes are not counted, as one connection carries many requests at once.
    pub multiplexed: u64,
}

impl TrafficCounts {
    /// The difference from `before`.
    pub const fn since(self, before: Self) -> Self {
        Self {
            bytes_in: self.bytes_in.saturating_sub(before.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
            requests: self.requests.saturating_sub(before.requests),
            opened: self.opened.saturating_sub(before.opened),
            reused: self.reused.saturating_sub(before.reused),
            multiplexed: self.multiplexed.saturating_sub(before.multiplexed),
        }
    }
}

/// True for 16 lower-case hexadecimal digits, which the page chooses at random.
pub fn is_run_id(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// True for a name of a transport or a mailbox: 1 to [`MAX_NAME`] characters of `a-z 0-9`.
pub fn is_label(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

/// The name of the signal that a server function sets for a run. The run's random id keeps it private.
pub fn signal_name(run: &str) -> String {
    format!("compare/{run}")
}

/// The topic slot of a run. All runs share 256 topics, because a topic per run would stay in the log forever.
pub fn topic_slot(run: &str) -> &str {
    run.get(..2).filter(|_| is_run_id(run)).unwrap_or("00")
}

/// The first `bytes` bytes of a fixed, nearly incompressible text.
pub fn document(bytes: usize) -> String {
    filler(0, bytes)
}

/// A message of `bytes` bytes: its number in 8 hexadecimal digits, then filler.
pub fn payload(number: u32, bytes: usize) -> String {
    let mut text = format!("{number:08x}");
    text.push_str(&filler(u64::from(number), bytes.saturating_sub(text.len())));
    text
}

/// The number of a message made by [`payload`].
pub fn parse_number(text: &str) -> Option<u32> {
    u32::from_str_radix(text.get(..8)?, 16).ok()
}

fn filler(seed: u64, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        // Xorshift64: random enough to defeat compression.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 58) as usize])
    };
    (0..bytes).map(|_| letter()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_size_and_number() {
        for bytes in [MIN_PAYLOAD, 100, MAX_PAYLOAD] {
            let text = payload(0xabc, bytes);
            assert_eq!((text.len(), parse_number(&text)), (bytes, Some(0xabc)));
        }
        assert_eq!(parse_number("xyz"), None);
        assert_eq!(document(70_000).len(), 70_000);
        assert!(document(65).starts_with(&document(64)));
    }

    #[test]
    fn names_are_validated() {
        assert!(is_run_id("0123456789abcdef") && !is_run_id("0123456789abcdeF") && !is_run_id("01"));
        assert!(is_label("poll15") && !is_label("") && !is_label("a.b") && !is_label(&"a".repeat(17)));
        assert_eq!((topic_slot("f123456789abcdef"), topic_slot("x")), ("f1", "00"));
    }
}
