//! One connection: the handshake, then one text message sent over and over and its echo expected. For short runs: it answers no ping, and
//! whatever is not the echo it waits for is an error.

use crate::Result;
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};

/// RFC 6455's own example: its answer is known without SHA-1.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Client {
    stream: TcpStream,
    /// The masked frame and its unmasked echo.
    message: Vec<u8>,
    echo: Vec<u8>,
    /// `input[..received]` is the beginning of an echo, between two reads.
    input: Vec<u8>,
    received: usize,
    /// What the socket would not take yet.
    output: Vec<u8>,
}

impl Client {
    pub fn connect(addr: SocketAddr, path: &str, size: usize, nth: u32) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nOrigin: http://{addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer);
        if !answer.starts_with("HTTP/1.1 101") || !answer.contains(ACCEPT) {
            return Err(format!(
                "connection {nth} refused: {}",
                answer.lines().next().unwrap_or_default()
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
        })
    }

    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// From here on nothing waits: `send` and `receive` do what the socket allows now.
    pub fn set_nonblocking(&mut self) -> Result<()> {
        self.input.resize(16 * 1024, 0);
        Ok(self.stream.set_nonblocking(true)?)
    }

    pub fn send(&mut self, messages: u32) -> Result<()> {
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

    /// Reads all that is ready; how many echoes that completed. A short read means the socket is empty: one system call saved.
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
            let whole = self.input[..filled].chunks_exact(self.echo.len());
            let rest = whole.remainder().len();
            for frame in whole {
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
        Err(format!("not the echo: {:02x?}", &frame[..frame.len().min(16)]).into())
    }
}

/// A text message of `size` bytes, masked, and what a server must send back. Text and mask differ from connection to connection.
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
