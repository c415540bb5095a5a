//! The limits of connections, transports and requests that are not [`Settings`](crate::Settings), each with its reason.

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) use duplex_hub::limits::*;

// TCP and TLS

/// Connections in the listening socket's backlog. The kernel may allow fewer (`net.core.somaxconn`).
pub const BACKLOG: u32 = 4096;

/// Accepted connections that have sent their first bytes and wait to be served.
pub const ARRIVALS: usize = 1024;

/// A pause after `accept` failed for want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest duration of a TLS handshake: a few round trips of a slow network.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// Between two looks at the certificate's files.
pub const CERTIFICATE_POLL: Duration = Duration::from_secs(5);

/// Longest time in which a peer's kernel acknowledges nothing, or keeps its window closed (`TCP_USER_TIMEOUT`). Longer than [`SESSION_STALL`],
/// so that a session's end is told by the session.
pub const TCP_UNCONFIRMED: Duration = Duration::from_secs(25);

/// Health checks and refused connections that are answered at once, beyond the connection limit.
pub const HEALTH_CONNECTIONS: usize = 64;

/// Longest duration of a health check's connection.
pub const HEALTH_WAIT: Duration = Duration::from_secs(2);

/// Bytes of a health check's request head.
pub const HEALTH_HEAD_BYTES: usize = 8192;

/// Connections per second that are logged one by one: some 200 MB of lines a day at most.
pub const CONNECTIONS_LOGGED: u32 = 5;

/// Connections at once that are logged one by one.
pub const CONNECTIONS_LOGGED_AT_ONCE: u32 = 500;

// HTTP requests

/// Longest time from a TCP connection's opening to its first complete request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// Longest time for a request's head on an HTTP/1 connection, the idle time before it included.
pub const REQUEST_HEAD: Duration = Duration::from_secs(60);

/// Bytes of a request's head.
pub const REQUEST_HEAD_BYTES: usize = 64 << 10;

/// Longest pause of a request's body.
pub const BODY_IDLE: Duration = Duration::from_secs(10);

/// Longest duration of a request's body. The largest body of any route has some 70 kB, which takes half of this on the slowest mobile
/// network.
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Reports of proxies that are read of a request's headers, from the right: more than any chain of proxies has.
pub const FORWARDED_HOPS: usize = 32;

/// Seconds of `Retry-After` when the server is full or going away.
pub const RETRY_AFTER_SECONDS: u32 = 5;

// HTTP responses

/// A peer that has to be waited for reads [`WRITE_PROGRESS`] bytes in this time, or is disconnected. Less than nginx allows (60 s), more
/// than a phone needs to come out of a tunnel.
pub const WRITE_STALL: Duration = Duration::from_secs(30);

/// Bytes that count as progress: see [`WRITE_STALL`].
pub const WRITE_PROGRESS: usize = 1024;

/// An HTTP/2 connection without an open request is closed after this time. HTTP/1 has [`REQUEST_HEAD`] for it.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(90);

/// Bytes of a response that are handed to HTTP at once: in HTTP/2 they lie in the stream's buffer until the peer opens its window.
pub const BODY_PIECE: usize = 16 << 10;

/// Bytes of a response's end that may be handed to an HTTP/2 stream although its window does not cover them.
pub const UNCOVERED_BYTES: usize = 1024;

/// Streams of one HTTP/2 connection: the sockets and event streams of many tabs, and the files of a page.
pub const HTTP2_STREAMS: u32 = 64;

/// Bytes of a request's body that HTTP/2 buffers for a route, per stream.
pub const HTTP2_STREAM_WINDOW: u32 = 64 << 10;

/// Bytes of request bodies that HTTP/2 buffers, per connection.
pub const HTTP2_CONNECTION_WINDOW: u32 = 256 << 10;

/// Bytes that one HTTP/2 stream, such as a WebSocket, buffers for a peer with a closed window.
pub const HTTP2_SEND_BUFFER: usize = 64 << 10;

/// Streams that an HTTP/2 peer may open and reset before the server has looked at them (CVE-2023-44487).
pub const HTTP2_PENDING_RESETS: usize = 20;

/// Streams that the server resets for an HTTP/2 peer's errors before it closes the connection.
pub const HTTP2_LOCAL_RESETS: usize = 128;

/// Default of [`Settings::max_buffered`](crate::Settings::max_buffered), in bytes.
pub const BUFFERED_BYTES: usize = 128 << 20;

/// Default of [`Server::drain_deadline`](crate::listen::Server::drain_deadline).
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

// WebSocket connections

/// Bytes read at once, allocated per connection: the engine's default, 128 KiB, costs 20 times the memory.
pub const READ_BUFFER: usize = 4096;

/// Bytes gathered before they are written to the socket; the end of a turn flushes what is there.
pub const WRITE_BUFFER: usize = 4096;

/// Bytes of the write buffer beside one whole message: an answer is the message and what an application puts around it.
pub const WRITE_BUFFER_MARGIN: usize = 64 << 10;

/// A connection whose buffers grew for a message above so many bytes gets new ones, so that one large message does not cost memory for
/// ever.
pub const KEPT_BUFFER: usize = 64 << 10;

/// Messages handled before a connection flushes and looks at the clock again.
pub const TURN_MESSAGES: usize = 256;

/// Bytes of messages after which a turn ends early.
pub const TURN_BYTES: usize = 64 << 10;

/// Capacity for outgoing messages that a connection keeps between two flushes.
pub const KEPT_MESSAGES: usize = 64;

/// How long the peer has to answer the server's close frame.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// How long the server reads on after the closing handshake, until the peer closes. Closing first, with bytes unread, would reset the
/// connection and could take the close frame from the peer.
pub const LINGER: Duration = Duration::from_secs(5);

/// Bytes read and dropped meanwhile.
pub const LINGER_BYTES: usize = 64 << 20;

/// Bytes of a message to a WebSocket that expects next to nothing.
pub const SMALL_MESSAGE: usize = 4096;

/// Characters of a message that the log shows.
pub const LOG_CHARS: usize = 200;

/// Messages of one WebSocket that an [`Endpoint`](crate::endpoint::Endpoint) answers at once: above what a page can measure.
pub const ECHO_BURST: u32 = 5_000;

/// Messages per second, after [`ECHO_BURST`].
pub const ECHO_RATE: u32 = 1_000;

/// KiB of them at once.
pub const ECHO_KIB_BURST: u32 = 256 << 10;

/// KiB of them per second, after [`ECHO_KIB_BURST`].
pub const ECHO_KIB_RATE: u32 = 4 << 10;

/// Characters of the name by which a page asks for its connection's record; a shorter name could be guessed.
pub const TRACE_CHARS: RangeInclusive<usize> = 16..=duplex_protocol::handshake::MAX_TRACE;

/// Headers in the record of a handshake.
pub const RECORDED_HEADERS: usize = 64;

/// Bytes of one header's value in it.
pub const RECORDED_VALUE: usize = 1024;

/// Records of ended connections; those of open ones are bounded by the connections.
pub const ENDED_HANDSHAKES: usize = 1024;

// Sessions

/// How long a new session may take to its hello frame. A later one is closed with 4002.
pub const HELLO_WAIT: Duration = Duration::from_secs(10);

/// Silence after which a session's client asks whether the server is still there. The welcome frame names it.
pub const SESSION_BEAT: Duration = Duration::from_secs(20);

/// Longest time between two pings of a session's WebSocket.
pub const SESSION_PING: Duration = Duration::from_secs(12);

/// Silence after which a session is closed with 3008. With the wait for an answer to the close frame, a client that vanished is no
/// longer among those present after 40 s.
pub const SESSION_SILENCE: Duration = Duration::from_secs(32);

/// A session that reads nothing for so long is closed with 4000. It resumes from its cursor.
pub const SESSION_STALL: Duration = Duration::from_secs(20);

/// Commands of one session that are being decided and appended at the same time.
pub const COMMANDS_IN_FLIGHT: usize = 128;

/// Bytes of them. A session whose topic waits for the disk holds no more, and is read no further.
pub const COMMAND_BYTES_IN_FLIGHT: usize = 256 << 10;

/// Bytes of verdicts that a session gets at once: as many topics as it may have, each with a large state.
pub const VERDICT_BYTES_BURST: u32 = 16 << 20;

/// Then one byte in this time: a client that subscribes again and again waits.
pub const VERDICT_BYTE_INTERVAL: Duration = Duration::from_micros(1);

/// How long a client that broke the session protocol is told to wait.
pub const PROTOCOL_ERROR_PAUSE: Duration = Duration::from_secs(10);

/// Shortest wait of clients before they reconnect to a node that drains.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(500);

/// Clients come back within this time after the pause.
pub const DRAIN_SPREAD: Duration = Duration::from_secs(4);

/// Longest silence of an event stream: proxies cut streams that are silent, and the client answers with a posted ping.
pub const SSE_KEEPALIVE: Duration = SESSION_PING;

/// How long an event stream of protocol version 1 goes on whose session posts nothing: its client is never asked to answer, so one that
/// does not read shows only by not coming back. Coming back costs a request and no event.
pub const SSE_V1_SILENCE: Duration = Duration::from_secs(120);

/// How long a poll waits for something to send: proxies cut at 30 s and more.
pub const POLL_WAIT: Duration = Duration::from_secs(20);

/// How long a poll gathers further frames after the first, so that a burst is one response.
pub const POLL_GATHER: Duration = Duration::from_millis(20);

/// Bytes of a poll's response. One frame is in it whatever its size; topics without room are answered by the next poll.
pub const POLL_BYTES: usize = 256 << 10;

/// How long a polling client stays present: two polls, and some time between them.
pub const POLL_LEASE: Duration = Duration::from_secs(35);

/// Bytes of a posted frame: the command, escaped as JSON, and what stands around it.
pub const COMMAND_BODY: usize = 2 * duplex_protocol::session::MAX_COMMAND + 4096;

/// Sessions for which faults can be requested: above what one machine's developers open.
pub const FAULT_SESSIONS: usize = 10_000;

/// Visitors who are kept from a transport at the same time.
pub const FAULT_BLOCKS: usize = 1024;

/// Bytes of a posted request for a fault.
pub const FAULT_BODY: usize = 1024;

// Ingest

/// Characters of an idempotency key.
pub const IDEMPOTENCY_KEY: usize = 200;

// Simulations

/// Longest time between two pings of a simulation's WebSocket.
pub const SIMULATION_PING: Duration = Duration::from_secs(4);

/// Silence after which a participant is closed with 3008 and leaves its place.
pub const SIMULATION_SILENCE: Duration = Duration::from_secs(12);

/// Over HTTP: how long a turn waits for a frame.
pub const SIMULATION_WAIT: Duration = Duration::from_secs(10);

/// Over HTTP: the pause between two turns' responses.
pub const SIMULATION_PAUSE: Duration = Duration::from_millis(50);

/// Over HTTP: how long a place waits for its next turn.
pub const SIMULATION_LEASE: Duration = Duration::from_secs(6);

/// Over HTTP: places of one person, for some windows and some that were just closed.
pub const SIMULATION_PLACES_EACH: usize = 6;
