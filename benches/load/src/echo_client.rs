//! A connection to an echo server: the handshake, then one text message that is sent repeatedly, and its echo. For short runs: it does
//! not answer pings, and every frame except the expected echo is an error.

use crate::Result;
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

/// The example of RFC 6455 section 1.3: its answer is known without SHA-1.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TIMEOUT: Duration = Duration::from_secs(10);

pub struct EchoClient {
    stream: TcpStream,
    /// The masked frame and its unmasked echo.
    message: Vec<u8>,
    echo: Vec<u8>,
    /// `input[..received]` is a partially received echo.
    input: Vec<u8>,
    received: usize,
    /// Bytes that the socket has not accepted yet.
    output: Vec<u8>,
    /// When the last messages were sent.
    pub sent_at: Instant,
}

impl EchoClient {
    pub fn connect(addr: SocketAddr, path: &str, size: usize, nth: u32) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nOrigin: http://{addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            response.push(byte[0]);
        }
        let response = String::from_utf8_lossy(&response);
        if !response.starts_with("HTTP/1.1 101") || !response.contains(ACCEPT) {
            return Err(format!(
                "connection {nth} rejected: {}",
                response.lines().next().unwrap_or_default()
            )
            .into());
        }
        let (message, echo) = frames(size, nth)?;
        Ok(Self {
            stream,
            message,
            echo,
            input: Vec::new(),
            received: 0,
            output: Vec::new(),
            sent_at: Instant::now(),
        })
    }

    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Makes [`send`](Self::send) and [`receive`](Self::receive) non-blocking.
    pub fn set_nonblocking(&mut self) -> Result<()> {
        self.input.resize(16 * 1024, 0);
        Ok(self.stream.set_nonblocking(true)?)
    }

    pub fn send(&mut self, messages: u32) -> Result<()> {
        if messages > 0 {
            self.sent_at = Instant::now();
        }
        for _ in 0..messages {
            self.output.extend_from_slice(&self.message);
        }
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads all available bytes and returns the number of complete echoes. A short read means that the socket is empty, which saves a
    /// system call.
    pub fn receive(&mut self) -> Result<u32> {
        let (mut echoes, mut drained) = (0, false);
        while !drained {
            let read = match self.stream.read(&mut self.input[self.received..]) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            let filled = self.received + read;
            drained = filled < self.input.len();
            let frames = self.input[..filled].chunks_exact(self.echo.len());
            let rest = frames.remainder().len();
            for frame in frames {
                expect(frame, &self.echo)?;
                echoes += 1;
            }
            self.input.copy_within(filled - rest..filled, 0);
            self.received = rest;
        }
        Ok(echoes)
    }

    pub fn receive_one(&mut self) -> Result<()> {
        let mut frame = vec![0; self.echo.len()];
        self.stream.read_exact(&mut frame)?;
        expect(&frame, &self.echo)
    }
}

fn expect(frame: &[u8], echo: &[u8]) -> Result<()> {
    if frame == echo {
        Ok(())
    } else {
        Err(format!("unexpected frame: {:02x?}", &frame[..frame.len().min(16)]).into())
    }
}

/// A masked text message of `size` bytes, and its expected echo. Text and mask differ between connections.
fn frames(size: usize, nth: u32) -> Result<(Vec<u8>, Vec<u8>)> {
    let length = u8::try_from(size)
        .ok()
        .filter(|length| *length <= 125)
        .ok_or("size= is 125 at most")?;
    let text: Vec<u8> = (0..u32::from(length))
        .map(|at| b'a' + ((at + nth) % 26) as u8)
        .collect();
    let mask = nth.wrapping_mul(0x9e37_79b9).wrapping_add(0x5bd1_e995).to_be_bytes();
    let mut message = vec![0x81, 0x80 | length];
    message.extend(mask);
    message.extend(text.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    let mut echo = vec![0x81, length];
    echo.extend(text);
    Ok((message, echo))
}
