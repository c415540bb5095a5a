//! What a browser that measures and the server that is measured say to each other: addresses, labels, counts and bounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST`: answers with the body. `close=1`: and closes the connection after it.
pub const ECHO_PATH: &str = "/api/compare/echo";
/// `GET …?bytes=N`: a document of so many bytes, which may be kept and is asked for again by its tag.
pub const DOCUMENT_PATH: &str = "/api/compare/document";
/// `POST …?box=B`: puts the body into a box, where the four below find it.
pub const SEND_PATH: &str = "/api/compare/say";
/// `GET`: the newest of a box.
pub const VALUE_PATH: &str = "/api/compare/value";
/// `GET`: what comes into a box from now on, as server-sent events.
pub const EVENTS_PATH: &str = "/api/compare/events";
/// `GET …?after=N`: what came into a box after its Nth, as soon as there is something.
pub const POLL_PATH: &str = "/api/compare/poll";
/// A WebSocket that says what comes into a box from now on.
pub const WATCH_PATH: &str = "/api/compare/watch";
/// `GET …/{run}`: the [`RunCounts`].
pub const RUNS_PATH: &str = "/api/compare/runs";

/// The label of requests whose address is not the page's to choose: a cookie `measured=RUN.WAY`, for their path only.
pub const LABEL_COOKIE: &str = "measured";

/// Bytes of a message: the first 8 are its number.
pub const MIN_PAYLOAD: usize = 16;
pub const MAX_PAYLOAD: usize = 16 << 10;
/// Bytes of a document: enough to see a download, not so many that it takes long on a phone.
pub const MAX_DOCUMENT: usize = 2 << 20;
/// Bytes of a document in one WebSocket message.
pub const MAX_CHUNK: usize = 64 << 10;
/// Letters of a way's or a box's name.
pub const MAX_NAME: usize = 16;

/// What the server counted for a run, by way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Processor time of the whole server process since its start, in microseconds: of all its threads, and of all visitors.
    pub cpu_us: u64,
    pub ways: BTreeMap<String, TrafficCounts>,
}

/// Bytes as the server's sockets read and wrote them: request lines, headers, frames and all, but not what lies below (TLS, TCP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficCounts {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub requests: u64,
    /// Connections whose first request was one of this way.
    pub opened: u64,
    /// Times that a connection came over from other requests.
    pub reused: u64,
    /// Requests over HTTP/2, where one connection carries many at once: their bytes are in no count.
    pub multiplexed: u64,
}

impl TrafficCounts {
    /// What was added since `before`.
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

/// 16 lower-case hexadecimal digits, made by the page at random.
pub fn is_run(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Of a way or a box: 1 to [`MAX_NAME`] of `a-z 0-9`.
pub fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

/// The signal that a server function sets for a run. Who does not know the run neither sets it nor follows it.
pub fn signal_name(run: &str) -> String {
    format!("compare/{run}")
}

/// One of 256 places that runs share where a name of their own would be kept for ever: a topic.
pub fn slot(run: &str) -> &str {
    run.get(..2).filter(|_| is_run(run)).unwrap_or("00")
}

/// The first `bytes` of one text, which no compression makes much smaller.
pub fn document(bytes: usize) -> String {
    filler(0, bytes)
}

/// A message: its number in 8 hexadecimal digits, then letters up to `bytes`.
pub fn payload(number: u32, bytes: usize) -> String {
    let mut text = format!("{number:08x}");
    text.push_str(&filler(u64::from(number), bytes.saturating_sub(text.len())));
    text
}

/// The number of a message that [`payload`] made.
pub fn number(text: &str) -> Option<u32> {
    u32::from_str_radix(text.get(..8)?, 16).ok()
}

fn filler(seed: u64, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        // Xorshift64: good enough that the letters look like noise.
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
            assert_eq!((text.len(), number(&text)), (bytes, Some(0xabc)));
        }
        assert_eq!(number("xyz"), None);
        assert_eq!(document(70_000).len(), 70_000);
        assert!(document(65).starts_with(&document(64)));
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!(is_run("0123456789abcdef") && !is_run("0123456789abcdeF") && !is_run("01"));
        assert!(is_name("poll15") && !is_name("") && !is_name("a.b") && !is_name(&"a".repeat(17)));
        assert_eq!((slot("f123456789abcdef"), slot("x")), ("f1", "00"));
    }
}
