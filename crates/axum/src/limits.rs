//! Every bound of connections, transports and requests that is not configuration, in one place, each with its reason.

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) use duplex_hub::limits::*;

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

/// Bytes of messages after which a turn ends early, so that a turn of large messages is not a long one, nor a large one.
pub const TURN_BYTES: usize = 64 << 10;

/// Packets' room that a connection keeps between two flushes.
pub const KEPT_PACKETS: usize = 64;

/// How long the peer has to answer our close frame.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// How long, and how much, is read from a peer that was told to go and has not hung up. To hang up first, with bytes unread,
/// would reset the connection and could take the close frame from the peer.
pub const LINGER: Duration = Duration::from_secs(5);
pub const LINGER_BYTES: usize = 64 << 20;

/// How long a fresh TCP connection may take to its first complete request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take: a few round trips of a slow network.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// Between two looks at the certificate's files.
pub const CERTIFICATE_POLL: Duration = Duration::from_secs(5);

/// How long an HTTP/1 connection may take for a request's head, its idle time before it included.
pub const REQUEST_HEAD: Duration = Duration::from_secs(60);

/// Bytes of a request's head.
pub const REQUEST_HEAD_BYTES: usize = 64 << 10;

/// TCP connections that wait to be accepted; the kernel may allow fewer (`net.core.somaxconn`).
pub const BACKLOG: u32 = 4096;

/// Connections that have sent their first bytes and wait to be served.
pub const ARRIVALS: usize = 1024;

/// Connections beyond the others, for health checks: who asks for something else is told that the server is full. How long
/// one may take, and the bytes of its request's head.
pub const HEALTH_PLACES: usize = 64;
pub const HEALTH_WAIT: Duration = Duration::from_secs(2);
pub const HEALTH_HEAD_BYTES: usize = 8192;

/// A wait after `accept` failed for want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client is told to wait, in seconds, when the server is full or going away.
pub const RETRY_AFTER_SECONDS: u32 = 5;

/// How long a request's body may pause, and how long the whole of it may take. The largest body of any route has some 70 kB,
/// which takes half of that on the slowest mobile network.
pub const BODY_IDLE: Duration = Duration::from_secs(10);
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// A peer that has to be waited for takes so many bytes of an HTTP answer in this time, or is cut off. Under what nginx allows
/// (60 s), above what a phone needs to come out of a tunnel.
pub const WRITE_STALL: Duration = Duration::from_secs(30);
pub const WRITE_PROGRESS: usize = 1024;

/// A connection without an open request is told to go after this time. HTTP/1 has [`REQUEST_HEAD`] for it.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(90);

/// Bytes of an answer that are handed to HTTP at once: in HTTP/2 they lie in the stream's buffer until the peer has a window.
pub const BODY_PIECE: usize = 16 << 10;

/// Bytes of an answer's end that may be handed to an HTTP/2 stream although its window does not cover them.
pub const UNCOVERED_BYTES: usize = 1024;

/// Streams of one HTTP/2 connection: the sockets and streams of many tabs, and the files of a page.
pub const HTTP2_STREAMS: u32 = 64;

/// Bytes of a request's body that HTTP/2 takes before a route reads them, of one stream and of all of a connection.
pub const HTTP2_STREAM_WINDOW: u32 = 64 << 10;
pub const HTTP2_CONNECTION_WINDOW: u32 = 256 << 10;

/// Bytes that one HTTP/2 stream, such as a WebSocket, holds for a peer without a window.
pub const HTTP2_SEND_BUFFER: usize = 64 << 10;

/// Streams that an HTTP/2 peer may open and reset before the server has looked at them, and streams that the server resets
/// for the peer's errors, until the connection is ended.
pub const HTTP2_PENDING_RESETS: usize = 20;
pub const HTTP2_LOCAL_RESETS: usize = 128;

/// Proxies' reports of a request's client that are read, from the right: more than any chain of proxies has.
pub const FORWARDED_HOPS: usize = 32;

/// Characters of a message that the log shows.
pub const LOG_CHARS: usize = 200;

/// Sessions for which faults can be ordered, and visitors who are kept from a transport, where faults are switched on: above
/// what one machine's developers open.
pub const FAULT_SESSIONS: usize = 10_000;
pub const FAULT_BLOCKS: usize = 1024;

/// Bytes of a posted order for a fault.
pub const FAULT_BODY: usize = 1024;

/// Headers of a handshake that are recorded, and the bytes of one value.
pub const RECORDED_HEADERS: usize = 64;
pub const RECORDED_VALUE: usize = 1024;

/// Characters of a name by which a page asks for its connection; too short a name could be guessed.
pub const TRACE_CHARS: RangeInclusive<usize> = 16..=duplex_protocol::handshake::MAX_TRACE;

/// How long a new session may take to say hello.
pub const HELLO_WAIT: Duration = Duration::from_secs(10);

/// Silence after which a session's client asks whether the server is still there.
pub const SESSION_BEAT: Duration = Duration::from_secs(20);

/// Who vanished is no longer among those present after 40 s: this silence, the wait for an answer to the close frame, and some
/// time for the others to hear of it.
pub const SESSION_PING: Duration = Duration::from_secs(12);
pub const SESSION_SILENCE: Duration = Duration::from_secs(32);

/// A session that takes nothing for so long is cut off: its place in its topics is its cursor, which it can come back with.
pub const STALL: Duration = Duration::from_secs(20);

/// Commands of one session that are being decided and kept at the same time.
pub const COMMANDS_IN_FLIGHT: usize = 128;

/// Bytes of them: a session whose topic waits for the disk holds no more, and is read no further.
pub const COMMAND_BYTES_IN_FLIGHT: usize = 256 << 10;

/// Bytes of verdicts that a session may be given at once: as many topics as it may have, each with a large state. Then a byte
/// in this time: who subscribes anew again and again waits.
pub const STATES_BURST: u32 = 16 << 20;
pub const STATES_EVERY: Duration = Duration::from_micros(1);

/// Bytes of a message to a socket that is told next to nothing.
pub const SMALL_MESSAGE: usize = 4096;

/// What a client that broke the protocol is told to wait.
pub const BREACH_PAUSE: Duration = Duration::from_secs(10);

/// When the node drains, its clients come back after the pause, spread over this time.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(500);
pub const DRAIN_SPREAD: Duration = Duration::from_secs(4);

/// A stream of server-sent events says something at least so often: proxies cut what is silent, and its client answers with a
/// posted ping, as over a WebSocket.
pub const SSE_COMMENT: Duration = SESSION_PING;

/// A poll without news is answered after this time: proxies cut at 30 s and more.
pub const POLL_WAIT: Duration = Duration::from_secs(20);

/// A poll with news waits this long for more of it, so that a burst is one answer.
pub const POLL_GATHER: Duration = Duration::from_millis(20);

/// Bytes of a poll's answer. One frame is in it whatever its size; the topics that find no room are answered by the next poll.
pub const POLL_BYTES: usize = 256 << 10;

/// How long who polled stays present: two polls, and some time between them.
pub const POLL_LEASE: Duration = Duration::from_secs(35);

/// Bytes of a posted command frame: the command, escaped as JSON, and what stands around it.
pub const COMMAND_BODY: usize = 2 * duplex_protocol::session::MAX_COMMAND + 4096;

/// Characters of a key by which a program makes sure that a call has its effect once.
pub const IDEMPOTENCY_KEY: usize = 200;

/// Messages of one socket that an endpoint answers by themselves, at once and in a second, and KiB of them: above what the pages
/// can measure.
pub const ECHO_BURST: u32 = 5_000;
pub const ECHO_RATE: u32 = 1_000;
pub const ECHO_KIB_BURST: u32 = 256 << 10;
pub const ECHO_KIB_RATE: u32 = 4 << 10;

/// Connections of which the log tells one by one, in a second and at once: some 200 MB of lines a day at most.
pub const CONNECTIONS_LOGGED: u32 = 5;
pub const CONNECTIONS_LOGGED_AT_ONCE: u32 = 500;

/// How long a peer's kernel may leave unconfirmed what it was sent, or keep its window shut: the connection to one that vanished,
/// or stands still, ends with it. Longer than [`STALL`], so that a session's end is told by the session.
pub const TCP_UNCONFIRMED: Duration = Duration::from_secs(25);

/// Who vanished from a stage leaves its seat after this silence.
pub const STAGE_PING: Duration = Duration::from_secs(4);
pub const STAGE_SILENCE: Duration = Duration::from_secs(12);

/// Over HTTP: the wait for a frame, the pause between two, and for how long a seat waits for the next turn.
pub const STAGE_WAIT: Duration = Duration::from_secs(10);
pub const STAGE_PAUSE: Duration = Duration::from_millis(50);
pub const STAGE_LEASE: Duration = Duration::from_secs(6);

/// Seats of one person who posts: some windows, and some that were just left.
pub const STAGE_SEATS_EACH: usize = 6;

/// Bytes that all connections together may make the node hold: messages that came in part, answers that are not taken. Past it
/// the largest holders are cut off.
pub const BUFFERED_BYTES: usize = 128 << 20;

/// Records of ended connections that are kept; the open ones are bounded by the connections themselves.
pub const ENDED_HANDSHAKES: usize = 1024;

/// How long a stream of version 1 goes on whose session posts nothing: its client is never asked to answer, so one that does not
/// read shows only by not coming back. Coming back costs a request and no event, and long polling does so six times as often.
pub const SSE_UNANSWERED: Duration = Duration::from_secs(120);

/// How long a server's connections may take to end after its shutdown has begun, if the app chooses nothing else.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
