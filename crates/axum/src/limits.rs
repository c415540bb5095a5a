//! The limits of connections, transports and requests that are not [`Settings`](crate::Settings), each with its reason.

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) use duplex_hub::limits::*;

// TCP and TLS

/// Connections in the listening socket's backlog. The kernel may allow fewer (`net.core.somaxconn`).
pub const BACKLOG: u32 = 4096;

/// Capacity of the queue of accepted connections that have sent their first bytes and wait to be served.
pub const ACCEPT_QUEUE: usize = 1024;

/// The pause after `accept` fails because the process has no file descriptor left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Maximum duration of a TLS handshake: a few round trips over a slow network.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// The interval at which the certificate's files are checked for changes.
pub const CERTIFICATE_POLL: Duration = Duration::from_secs(5);

/// How long a peer's kernel may acknowledge nothing or keep its window closed (the socket option `TCP_USER_TIMEOUT`). Longer than
/// [`SESSION_STALL`], so that a session ends with its own close code.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(25);

/// Connections accepted beyond the limit at the same time, to answer health checks and to reject the others.
pub const HEALTH_CONNECTIONS: usize = 64;

/// Maximum duration of a health check's connection.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a health check's request head.
pub const HEALTH_HEAD_BYTES: usize = 8192;

/// Connections per second that are logged one by one: at most some 200 MB of lines a day.
pub const LOGGED_CONNECTIONS_PER_SECOND: u32 = 5;

/// Connections in a burst that are logged one by one.
pub const LOGGED_CONNECTIONS_BURST: u32 = 500;

// HTTP requests

/// Maximum time from the opening of a TCP connection to its first complete request.
pub const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time for a request's head on an HTTP/1 connection, including the idle time before it.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum size of a request head, in bytes.
pub const REQUEST_HEAD_BYTES: usize = 64 << 10;

/// Maximum pause within a request's body.
pub const BODY_IDLE: Duration = Duration::from_secs(10);

/// Maximum duration of a request's body. The largest body of any route has some 70 kB, which takes half of this on the slowest
/// mobile network.
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Hops that are read from a request's forwarded headers, from the right: more than any chain of proxies has.
pub const FORWARDED_HOPS: usize = 32;

/// `Retry-After` in seconds when the server is full or shutting down.
pub const RETRY_AFTER_SECONDS: u32 = 5;

// HTTP responses

/// A peer that blocks a write must read [`WRITE_PROGRESS`] bytes within this time, or it is disconnected. Less than nginx allows
/// (60 s), more than a short loss of mobile coverage.
pub const WRITE_STALL: Duration = Duration::from_secs(30);

/// Bytes that count as progress: see [`WRITE_STALL`].
pub const WRITE_PROGRESS: usize = 1024;

/// An HTTP/2 connection without an open request is closed after this time. On HTTP/1, [`REQUEST_HEAD_TIMEOUT`] applies.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(90);

/// Maximum chunk of a response body passed to hyper, in bytes. In HTTP/2 it stays in the stream's send buffer until flow control
/// admits it.
pub const BODY_CHUNK: usize = 16 << 10;

/// Bytes at the end of a response that may be passed to an HTTP/2 stream even if the flow-control window has no room for them.
pub const BYTES_BEYOND_WINDOW: usize = 1024;

/// Concurrent streams of one HTTP/2 connection: the sockets and event streams of many tabs, and the files of a page.
pub const HTTP2_STREAMS: u32 = 64;

/// Bytes of a request's body that HTTP/2 buffers for its handler, per stream.
pub const HTTP2_STREAM_WINDOW: u32 = 64 << 10;

/// Bytes of request bodies that HTTP/2 buffers, per connection.
pub const HTTP2_CONNECTION_WINDOW: u32 = 256 << 10;

/// Bytes that one HTTP/2 stream, such as a WebSocket, buffers for a peer with a closed window.
pub const HTTP2_SEND_BUFFER: usize = 64 << 10;

/// Streams that an HTTP/2 peer may open and reset before the server accepts them (CVE-2023-44487).
pub const HTTP2_PENDING_RESETS: usize = 20;

/// Streams that the server resets because of an HTTP/2 peer's errors before it closes the connection.
pub const HTTP2_LOCAL_RESETS: usize = 128;

/// Default of [`Settings::max_buffered`](crate::Settings::max_buffered), in bytes.
pub const BUFFERED_BYTES: usize = 128 << 20;

/// Default of [`Server::drain_deadline`](crate::listen::Server::drain_deadline).
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

// WebSocket connections

/// Bytes that a WebSocket reads at a time, into a buffer that the connections of a thread share: pipelined messages arrive together.
pub(crate) const SOCKET_READ: usize = 16 << 10;

/// Bytes of a buffer for reading and writing streams that belongs to one of them.
pub const READ_BUFFER: usize = 4096;

/// The most bytes of a frame's header (RFC 6455 section 5.2): the server's frames have no mask.
pub(crate) const MAX_FRAME_HEADER: usize = 10;

/// Messages that are compressed for clients that agree to it: smaller ones gain less than a packet's header, and a larger one would
/// occupy a worker for more than some 5 ms.
pub(crate) const DEFLATE_BYTES: RangeInclusive<usize> = 128..=512 << 10;

/// Shared frames up to this size are compressed at the best level, which costs some 20 us once; larger ones at `DEFLATE_LEVEL`.
pub(crate) const BEST_DEFLATE_BYTES: usize = 4 << 10;
pub(crate) const DEFLATE_LEVEL: u32 = 4;

/// The level for a message to one client. Level 1 makes some payloads larger, and overran its buffer there in zlib-rs 0.6.8.
pub(crate) const MESSAGE_DEFLATE_LEVEL: u32 = 2;

/// A thread's read buffer that grew beyond this size for one message is replaced by a new one.
pub(crate) const MAX_RETAINED_BUFFER: usize = 64 << 10;

/// Messages of a batch: a connection handles so many before it flushes and checks its timers.
pub const BATCH_MESSAGES: usize = 256;

/// Bytes of messages after which such a batch ends early.
pub const BATCH_BYTES: usize = 64 << 10;

/// Capacity that the queue of outgoing messages retains after a flush.
pub const RETAINED_QUEUE_CAPACITY: usize = 64;

/// How long the server waits for the answer to its close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server keeps reading after the closing handshake, until the peer closes. Closing first, with bytes unread, would reset
/// the connection, and the peer could lose the close frame.
pub const LINGER: Duration = Duration::from_secs(5);

/// Bytes that are read and dropped during [`LINGER`].
pub const LINGER_BYTES: usize = 64 << 20;

/// Maximum message size, in bytes, of a WebSocket that expects only short messages.
pub const SMALL_MESSAGE: usize = 4096;

/// Characters of a message that are logged.
pub const LOG_CHARS: usize = 200;

/// Burst of messages of one WebSocket that a [`StatelessEndpoint`](crate::endpoint::StatelessEndpoint) answers: more than the echo
/// page sends.
pub const ENDPOINT_BURST: u32 = 5_000;

/// Messages per second, after [`ENDPOINT_BURST`].
pub const ENDPOINT_RATE: u32 = 1_000;

/// Burst of the byte rate of these messages, in KiB.
pub const ENDPOINT_KIB_BURST: u32 = 256 << 10;

/// KiB of these messages per second, after [`ENDPOINT_KIB_BURST`].
pub const ENDPOINT_KIB_RATE: u32 = 4 << 10;

/// Characters of the trace id with which a page requests its connection's handshake record; a shorter one could be guessed.
pub const TRACE_CHARS: RangeInclusive<usize> = 16..=duplex_protocol::handshake::MAX_TRACE;

/// Headers in a handshake record.
pub const MAX_RECORDED_HEADERS: usize = 64;

/// Bytes of one header's value in a handshake record.
pub const RECORDED_VALUE: usize = 1024;

/// Maximum handshake records of ended connections. Those of open connections are bounded by the connection limit.
pub const ENDED_HANDSHAKES: usize = 1024;

// Sessions

/// How long a new session may take to send its hello frame. A later one is closed with 4002.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which a session's client pings the server. It is part of the welcome frame.
pub const SESSION_CLIENT_KEEPALIVE: Duration = Duration::from_secs(20);

/// Maximum ping interval on a session's WebSocket.
pub const SESSION_PING: Duration = Duration::from_secs(12);

/// Silence after which a session is closed with 3008. Including the wait for the answer to the close frame, a vanished client leaves
/// the presence within 40 s.
pub const SESSION_SILENCE: Duration = Duration::from_secs(32);

/// A session that reads nothing for this time is closed with 4000. It can resume from its cursor.
pub const SESSION_STALL: Duration = Duration::from_secs(20);

/// Commands of one session that are being decided and appended at the same time.
pub const COMMANDS_IN_FLIGHT: usize = 128;

/// Bytes of these commands. Beyond it, the server stops reading from the session until the topic answers.
pub const COMMAND_BYTES_IN_FLIGHT: usize = 256 << 10;

/// Burst of verdict bytes per session: enough to subscribe to the maximum number of topics, each with a large state.
pub const VERDICT_BYTES_BURST: u32 = 16 << 20;

/// The interval per byte after [`VERDICT_BYTES_BURST`]: a client that subscribes repeatedly has to wait.
pub const VERDICT_BYTE_INTERVAL: Duration = Duration::from_micros(1);

/// The reconnect delay for a client that violated the session protocol.
pub const PROTOCOL_ERROR_RETRY: Duration = Duration::from_secs(10);

/// Minimum delay before the clients of a draining node reconnect.
pub const DRAIN_RECONNECT_MIN: Duration = Duration::from_millis(500);

/// The clients of a draining node reconnect spread over this time, after [`DRAIN_RECONNECT_MIN`].
pub const DRAIN_RECONNECT_SPREAD: Duration = Duration::from_secs(4);

/// The keepalive interval of an event stream: proxies close silent streams, and the client answers with a posted ping.
pub const SSE_KEEPALIVE: Duration = SESSION_PING;

/// How long an event stream of protocol version 1 stays open while its session posts nothing. Such a client does not acknowledge
/// keepalives, so only a reconnect shows that it reads. The reconnect costs a request and loses no event.
pub const SSE_V1_SILENCE: Duration = Duration::from_secs(120);

/// How long a poll waits for frames: proxies close requests after 30 s or more.
pub const POLL_WAIT: Duration = Duration::from_secs(20);

/// How long a poll collects further frames after the first, so that a burst becomes one response.
pub const POLL_GATHER: Duration = Duration::from_millis(20);

/// Bytes of a poll's response. The first frame is always included, whatever its size; the rest waits for the next poll.
pub const POLL_BYTES: usize = 256 << 10;

/// A poll's response is joined from the compressed forms of its frames of at least this size. Smaller ones may be for one client only,
/// such as the verdict of a resumption, and gain little.
pub(crate) const POLL_GZIP_BYTES: usize = 1 << 10;

/// How long a polling client stays in the presence: two polls, and some time between them.
pub const POLL_LEASE: Duration = Duration::from_secs(35);

/// Maximum size of a posted frame, in bytes: a command, escaped as JSON, and the frame around it.
pub const COMMAND_BODY: usize = 2 * duplex_protocol::session::MAX_COMMAND + 4096;

/// Sessions for which faults can be requested: more than any manual test opens.
pub const FAULT_SESSIONS: usize = 10_000;

/// Visitors with a blocked transport at the same time.
pub const FAULT_BLOCKS: usize = 1024;

/// Maximum size of a fault request, in bytes.
pub const FAULT_BODY: usize = 1024;

// Ingest

/// Maximum length of an idempotency key, in characters.
pub const IDEMPOTENCY_KEY: usize = 200;

// Simulations

/// Maximum ping interval on a simulation's WebSocket.
pub const SIMULATION_PING: Duration = Duration::from_secs(4);

/// Silence after which a participant is closed with 3008 and leaves the simulation.
pub const SIMULATION_SILENCE: Duration = Duration::from_secs(12);

/// How long a simulation's long-poll request waits for a frame.
pub const SIMULATION_WAIT: Duration = Duration::from_secs(10);

/// The minimum time between two responses to a participant over HTTP.
pub const SIMULATION_PAUSE: Duration = Duration::from_millis(50);

/// How long a participant over HTTP stays without a request.
pub const SIMULATION_LEASE: Duration = Duration::from_secs(6);

/// Participants of one person over HTTP: enough for several windows, and for some that were just closed.
pub const SIMULATION_PARTICIPANTS_PER_PERSON: usize = 6;
