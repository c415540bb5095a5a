//! The heap that idle connections hold, by a counting allocator. Without a subscriber, spans hold nothing.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::alloc::System;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use axum::Router;
use duplex_axum::endpoint::{Payload, Reply, StatelessEndpoint};
use duplex_axum::error::Problem;
use duplex_axum::identity::{Caller, Identify, IdentityRequest};
use duplex_axum::listen::{self, Server};
use duplex_axum::{Gateway, Settings, endpoint, middleware};
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::{Hub, dyn_topic};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::SESSION_PATH;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use uuid::Uuid;

use self::common::{TIMEOUT, Tally};

mod common;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connections of a measurement.
const CONNECTIONS: usize = 200;

/// Bytes that a connection of an endpoint may hold, and a session that is subscribed to one topic.
const ENDPOINT_BYTES: usize = 3_000;
const MEMBER_BYTES: usize = 4_700;

/// The time without a change after which the heap counts as settled.
const SETTLED: Duration = Duration::from_millis(200);

const ECHO_PATH: &str = "/api/echo";

/// Each connection is a new visitor.
struct Visitors;

impl Identify for Visitors {
    async fn identify(&self, _: IdentityRequest<'_>) -> Result<Caller, Problem> {
        Ok(Caller::visitor(Person {
            id: PersonId(Uuid::new_v4().simple().to_string()),
            name: "Guest 1234".to_owned(),
        }))
    }
}

/// Starts a server on the current runtime.
fn serve() -> (Gateway, SocketAddr) {
    let hub = Hub::new(
        std::sync::Arc::new(MemoryLog::new(Epoch::new(1))),
        vec![dyn_topic(Tally)],
    );
    let settings = Settings {
        quotas: false,
        ..Settings::default()
    };
    let gateway = Gateway::new(hub, settings, Visitors);
    let echo = StatelessEndpoint {
        path: ECHO_PATH,
        description: "an echo.",
        reply: |_: Payload<'_>| Reply::Echo,
    };
    let routes = Router::new()
        .merge(duplex_axum::routes(gateway.clone()))
        .merge(endpoint::routes(gateway.clone(), [echo]));
    let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::new(middleware::protect(routes, &gateway), gateway.clone());
    tokio::spawn(server.serve(listener));
    (gateway, addr)
}

/// A text frame of at most 125 bytes, masked with zeros.
fn send(stream: &mut TcpStream, text: &str) {
    let head = [0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    stream.write_all(&head).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
}

/// Reads until `text` has arrived.
fn receive(stream: &mut TcpStream, text: &str) {
    let (mut buffer, mut filled) = ([0; 4096], 0);
    while !buffer[..filled].windows(text.len()).any(|part| part == text.as_bytes()) {
        let read = stream.read(&mut buffer[filled..]).unwrap();
        assert!(read > 0, "the connection ended without {text:?}");
        filled += read;
    }
}

fn connect(addr: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .unwrap();
    receive(&mut stream, "\r\n\r\n");
    stream
}

fn echo(addr: SocketAddr) -> TcpStream {
    let mut stream = connect(addr, ECHO_PATH, "");
    send(&mut stream, "hello");
    receive(&mut stream, "hello");
    stream
}

fn member(addr: SocketAddr) -> TcpStream {
    let mut stream = connect(addr, SESSION_PATH, "Sec-WebSocket-Protocol: duplex.v2.json\r\n");
    send(&mut stream, r#"{"hello":{"build":"","name":null}}"#);
    send(&mut stream, r#"{"subscribe":{"topic":"tally/one","cursor":null}}"#);
    receive(&mut stream, r#"{"verdict""#);
    stream
}

fn wait_until(what: &str, mut is_done: impl FnMut() -> Result<(), usize>) {
    let started = Instant::now();
    while let Err(value) = is_done() {
        assert!(started.elapsed() < TIMEOUT, "{what}: {value}");
        yield_now();
    }
}

/// The bytes that are held when nothing more is allocated or released.
fn held() -> usize {
    let (mut held, mut since) = (0, Instant::now());
    wait_until("bytes that still change", || {
        let stats = ALLOCATOR.stats();
        let now = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated);
        if now != held {
            (held, since) = (now, Instant::now());
        }
        if since.elapsed() >= SETTLED { Ok(()) } else { Err(now) }
    });
    held
}

/// Each of many connections holds at most `limit` bytes.
fn assert_held(kind: &str, gateway: &Gateway, limit: usize, open: impl Fn() -> TcpStream) {
    let are_closed = || match gateway.counters.snapshot().connections {
        0 => Ok(()),
        connections => Err(usize::try_from(connections).unwrap()),
    };
    // The first connections make the allocations that all share.
    let first: Vec<_> = (0..CONNECTIONS / 10).map(|_| open()).collect();
    drop(first);
    wait_until("connections that do not end", are_closed);
    let before = held();
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| open()).collect();
    let each = held().saturating_sub(before) / CONNECTIONS;
    assert!(each <= limit, "{each} bytes per {kind}");
    drop(connections);
    wait_until("connections that do not end", are_closed);
}

#[test]
fn an_idle_connection_holds_little_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (gateway, addr) = runtime.block_on(async { serve() });
    assert_held("connection of an endpoint", &gateway, ENDPOINT_BYTES, || echo(addr));
    assert_held("member of a topic", &gateway, MEMBER_BYTES, || member(addr));
}
