//! Measurements, side by side: `cargo test --release -p duplex-axum --lib codec::tests::throughput -- --ignored --nocapture`.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::WebSocket;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::*;

const MESSAGES: usize = 100_000;
const READ: usize = 4096;

/// A stream of the same frame, in reads of at most 4 KiB.
struct Endless {
    frames: Vec<u8>,
    position: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.frames[self.position..];
        let length = rest.len().min(buffer.len()).min(READ);
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position = (self.position + length) % self.frames.len();
        Ok(length)
    }
}

impl Write for Endless {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stream(frame: &[u8]) -> Endless {
    Endless {
        frames: frame.repeat(1000),
        position: 0,
    }
}

fn by_codec(frame: &[u8], deflates: bool) -> Duration {
    let mut stream = stream(frame);
    let mut decoder = if deflates {
        deflate_decoder(LIMIT)
    } else {
        plain_decoder(LIMIT)
    };
    let mut buffer = BytesMut::with_capacity(READ + 14);
    let mut messages = 0;
    let start = Instant::now();
    while messages < MESSAGES {
        let start = buffer.len();
        buffer.resize(start + READ, 0);
        let length = stream.read(&mut buffer[start..]).unwrap();
        buffer.truncate(start + length);
        while let Some(message) = decoder.decode(&mut buffer).unwrap() {
            std::hint::black_box(message);
            messages += 1;
        }
    }
    start.elapsed()
}

fn by_tungstenite(frame: &[u8]) -> Duration {
    let config = WebSocketConfig::default().read_buffer_size(READ);
    let mut socket = WebSocket::from_raw_socket(stream(frame), Role::Server, Some(config));
    let start = Instant::now();
    for _ in 0..MESSAGES {
        std::hint::black_box(socket.read().unwrap());
    }
    start.elapsed()
}

fn nanoseconds(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as f64 / MESSAGES as f64
}

#[test]
#[ignore = "a measurement"]
fn decoding_is_compared_with_tungstenite() {
    println!("ns per message, the best of 15 turns: here, tungstenite, ratio");
    for size in [16, 125, 1000, 4000] {
        let frame = frame(0x81, &vec![b'x'; size]);
        let turns = (0..15).map(|_| (by_codec(&frame, false), by_tungstenite(&frame)));
        let best = turns.reduce(|best, turn| (best.0.min(turn.0), best.1.min(turn.1)));
        let (here, there) = best
            .map(|(here, there)| (nanoseconds(here), nanoseconds(there)))
            .unwrap();
        println!("{size:>5} bytes: {here:7.1} {there:7.1} {:5.2}", here / there);
    }
}

#[test]
#[ignore = "a measurement"]
fn compression_is_measured() {
    let payload = br#"{"topic":"market/BTC","seq":123456,"event":{"price":"64123.55","size":"0.0125","side":"buy","time":1732200000123}}"#;
    let level = flate2::Compression::new(6);
    let deflated = deflate(payload, 15, level).unwrap();
    let start = Instant::now();
    for _ in 0..MESSAGES / 20 {
        std::hint::black_box(deflate(payload, 15, level));
    }
    let deflating = nanoseconds(start.elapsed() * 20);
    let inflating = nanoseconds(by_codec(&frame(0xc1, &deflated), true));
    println!(
        "{} bytes to {}: deflate {deflating:.0} ns, decode {inflating:.0} ns",
        payload.len(),
        deflated.len()
    );
}
