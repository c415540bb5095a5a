//! Every bound of the server that is not configuration, in one place, each with its reason.
//! Knows no part that keeps to them.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What a message may be configured to: enough for a control frame at least, and not so much that a few peers fill the memory.
pub const MESSAGE_BOUNDS: RangeInclusive<usize> = 125..=64 << 20;

/// Bytes asked of the kernel at once, allocated per connection: 128 KiB, the engine's default, costs 20 times the memory.
pub const READ_BUFFER: usize = 4096;

/// Bytes of answers gathered before the kernel is called; a turn's end flushes what is there.
pub const WRITE_BUFFER: usize = 4096;

/// Beside one whole message: an answer is the message and what an application writes around it.
pub const WRITE_BUFFER_MARGIN: usize = 64 << 10;

/// A connection whose buffers grew for a message above this gets new ones, so that one big message does not cost for ever.
pub const KEPT_BUFFER: usize = 64 << 10;

/// Messages answered before the connection flushes and looks at the clock again.
pub const TURN_MESSAGES: usize = 256;

/// Bytes of answers after which a turn ends early, so that a turn of large messages is not a long one.
pub const TURN_BYTES: usize = 256 << 10;

/// How long the peer has to answer our close frame.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// How long, and how much, is read from a peer that was told to go and has not hung up. To hang up first, with bytes unread,
/// would reset the connection and could take the close frame from the peer.
pub const LINGER: Duration = Duration::from_secs(5);
pub const LINGER_BYTES: usize = 64 << 20;

/// How long a fresh TCP connection may take to its first complete request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How long an HTTP/1 connection may take for a request's head, its idle time before it included.
pub const REQUEST_HEAD: Duration = Duration::from_secs(60);

/// Bytes of a request's head.
pub const REQUEST_HEAD_BYTES: usize = 64 << 10;

/// TCP connections for each WebSocket allowed: a page holds its own socket, the vitals' socket and a connection for requests.
pub const TCP_PER_SOCKET: usize = 3;

/// A wait after `accept` failed for want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client is told to wait, in seconds, when the server is full or going away.
pub const RETRY_AFTER_SECONDS: u32 = 5;

/// Bytes of a posted form, and the time its body may take.
pub const FORM_BYTES: usize = 64 << 10;
pub const FORM_WAIT: Duration = Duration::from_secs(10);

/// Characters of a message that the log shows.
pub const LOG_CHARS: usize = 200;

/// Records of ended connections that are kept; the open ones are bounded by the connections themselves.
pub const ENDED_HANDSHAKES: usize = 1024;

/// Headers of a handshake that are recorded, and the bytes of one value.
pub const RECORDED_HEADERS: usize = 64;
pub const RECORDED_VALUE: usize = 1024;

/// Characters of a name by which a page asks for its connection; too short a name could be guessed.
pub const TRACE_CHARS: RangeInclusive<usize> = 16..=crate::wire::handshake::MAX_TRACE;

/// Answers to commands that a log keeps of each topic, and for how long: as far back as anybody still asks whether a
/// command had arrived. What goes beyond either goes with a snapshot.
pub const KEPT_ANSWERS: usize = 10_000;
pub const KEPT_ANSWERS_AGE: Duration = Duration::from_secs(24 * 60 * 60);
