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

/// Commands decided together and kept in one append: what waits while the disk works. At most this many times the bytes of a
/// command are held for it.
pub const BATCH_COMMANDS: usize = 256;

/// Asks that wait for one topic; more callers wait outside, each with its one command.
pub const TOPIC_QUEUE: usize = 1024;

/// How long a command waits for a place in its topic's queue before it is told to come again.
pub const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// Times that a batch is decided anew because another node appended first.
pub const CONFLICT_ATTEMPTS: u32 = 5;

/// Until a topic whose log could not be read tries again by itself.
pub const LOG_RETRY: Duration = Duration::from_secs(1);

/// Topics awake on this node at once: each has a state, a ring and a task.
pub const ACTIVE_TOPICS: usize = 10_000;

/// How long a topic stays awake that nobody reads: long enough for a page's reload or a client's reconnect.
pub const TOPIC_IDLE: Duration = Duration::from_secs(60);

/// Events after which a topic's state is kept, so that a start has no more than these to go through.
pub const SNAPSHOT_EVENTS: u64 = 1000;

/// Events asked of the log at once.
pub const LOG_PAGE: usize = 500;

/// Events of one page of history.
pub const HISTORY_PAGE: usize = 200;

/// What a topic's ring holds: readers that fall behind for a moment are served without the log.
pub const RING_EVENTS: usize = 1024;
pub const RING_BYTES: usize = 1 << 20;

/// Keys of which a ring remembers the newest event, under `Delivery::Latest`.
pub const RING_KEYS: usize = 4096;

/// Beside its JSON, what an event in a ring costs, about: the value, its frames, their places.
pub const EVENT_OVERHEAD: usize = 256;

/// A reader that is no more events behind than this gets them all; beyond, under `Delivery::Latest`, the newest of each key.
pub const SLIGHTLY_BEHIND: u64 = 64;

/// A reader that is more events behind than this, and not in the ring, gets the state: to replay them would take longer.
pub const TOO_FAR: u64 = 5000;

/// Refused commands whose answers a topic knows, beside the accepted ones that the log keeps. Apart from the accepted, so that refusals push none of those out.
pub const KNOWN_REFUSALS: usize = 1024;

/// How long an activity such as `typing` lasts after it was last said.
pub const ACTIVITY: Duration = Duration::from_secs(5);

/// The longest that a poll makes its session present: the poll itself, and the time until the next.
pub const LEASE: Duration = Duration::from_secs(40);

/// Sessions present by leases, in one topic: whoever polls makes up the session's name.
pub const LEASES: usize = 10_000;

/// Between two presences of a topic: at least the first, at most the second, and this much for each session in it between
/// them, so that a topic sends about a thousand presence frames in a second whatever the crowd.
pub const PRESENCE_PAUSE: Duration = Duration::from_millis(100);
pub const PRESENCE_PAUSE_MOST: Duration = Duration::from_secs(5);
pub const PRESENCE_PAUSE_EACH: Duration = Duration::from_millis(1);

/// Commands for other topics that wait to be sent; a topic never waits for another.
pub const FORWARD_QUEUE: usize = 4096;

/// Times that a forward is tried, and the wait between two of them.
pub const FORWARD_ATTEMPTS: u32 = 5;
pub const FORWARD_PAUSE: Duration = Duration::from_millis(200);

/// How long a topic that closes waits for its forwards.
pub const FORWARD_DRAIN: Duration = Duration::from_secs(2);

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
