//! A WebSocket that never waits: what the socket allows now is read and written. Whole frames only, no extension.

use crate::{
    Result,
    client::{ACCEPT, KEY},
};
use mio::net::TcpStream;
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
};

/// Text and mask are no secrets here: one mask for all.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Where and how a server is asked for a WebSocket.
pub struct Door {
    pub path: &'static str,
    /// Headers of its own, each with its line's end.
    pub headers: String,
}

pub enum News<'a> {
    Opened,
    Payload(&'a [u8]),
}

/// Frames that wait to be written.
#[derive(Default)]
pub struct Outbox(Vec<u8>);

impl Outbox {
    pub fn text(&mut self, payload: &[u8]) {
        self.frame(0x81, payload);
    }

    pub fn binary(&mut self, payload: &[u8]) {
        self.frame(0x82, payload);
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        self.0.push(first);
        match payload.len() {
            short @ 0..=125 => self.0.push(0x80 | short as u8),
            long => {
                self.0.push(0x80 | 126);
                let long = u16::try_from(long).expect("what a client says here is short");
                self.0.extend(long.to_be_bytes());
            }
        }
        self.0.extend(MASK);
        self.0
            .extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
}

pub struct Socket {
    pub stream: TcpStream,
    open: bool,
    /// The beginning of a frame, or of the handshake's answer, between two reads.
    rest: Vec<u8>,
    pub out: Outbox,
}

impl Socket {
    pub fn connect(addr: SocketAddr, door: &Door) -> Result<Self> {
        let Door { path, headers } = door;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nOrigin: http://{addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
        );
        let stream = TcpStream::connect(addr)?;
        Ok(Self {
            stream,
            open: false,
            rest: Vec::new(),
            out: Outbox(request.into_bytes()),
        })
    }

    pub fn flush(&mut self) -> Result<()> {
        while !self.out.0.is_empty() {
            match self.stream.write(&self.out.0) {
                Ok(written) => drop(self.out.0.drain(..written)),
                // Not connected: the connection is still being made.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads all that is ready. A short read means the socket is empty: one system call saved.
    pub fn read(&mut self, buffer: &mut [u8], hear: &mut impl FnMut(&mut Outbox, News) -> Result<()>) -> Result<()> {
        let mut drained = false;
        while !drained {
            let kept = self.rest.len();
            buffer[..kept].copy_from_slice(&self.rest);
            let read = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) => return Err(error.into()),
            };
            let filled = kept + read;
            drained = filled < buffer.len();
            let taken = self.take(&buffer[..filled], hear)?;
            if taken == 0 && !drained {
                return Err("a frame is larger than the buffer".into());
            }
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[taken..filled]);
        }
        Ok(())
    }

    /// How many of the bytes were whole.
    fn take(&mut self, bytes: &[u8], hear: &mut impl FnMut(&mut Outbox, News) -> Result<()>) -> Result<usize> {
        let mut taken = 0;
        if !self.open {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(0);
            };
            check(&bytes[..end])?;
            self.open = true;
            taken = end + 4;
            hear(&mut self.out, News::Opened)?;
        }
        while let Some((first, payload, length)) = frame(&bytes[taken..]) {
            taken += length;
            match first {
                0x81 | 0x82 => hear(&mut self.out, News::Payload(payload))?,
                0x88 => return Err(farewell(payload).into()),
                0x89 => self.out.frame(0x8a, payload),
                0x8a => {}
                other => return Err(format!("a frame that begins with {other:#04x}").into()),
            }
        }
        Ok(taken)
    }
}

fn check(answer: &[u8]) -> Result<()> {
    let answer = String::from_utf8_lossy(answer);
    if answer.starts_with("HTTP/1.1 101") && answer.contains(ACCEPT) {
        Ok(())
    } else {
        Err(format!(
            "a connection was refused: {}",
            answer.lines().next().unwrap_or_default()
        )
        .into())
    }
}

/// The first byte, the payload and the length of the frame that the bytes begin with, if it is whole.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        ),
        short => (2, usize::from(short)),
    };
    Some((bytes[0], bytes.get(head..head + length)?, head + length))
}

fn farewell(payload: &[u8]) -> String {
    let code = payload
        .get(..2)
        .map_or(1005, |two| u16::from_be_bytes([two[0], two[1]]));
    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
    format!("the server closed with {code} {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_come() {
        let long = vec![b'x'; 300];
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x82, 126, 1, 44];
        bytes.extend(&long);
        assert_eq!(frame(&bytes), Some((0x81, &b"hi"[..], 4)));
        assert_eq!(frame(&bytes[4..]), Some((0x82, &long[..], 304)));
        for cut in 0..4 {
            assert_eq!(frame(&bytes[..cut]), None);
        }
        assert_eq!(frame(&bytes[4..bytes.len() - 1]), None);
    }

    #[test]
    fn what_is_said_is_masked() {
        for length in [0_usize, 5, 125, 126, 1000] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut out = Outbox::default();
            out.text(&payload);
            let head = if length > 125 { 8 } else { 6 };
            assert_eq!((out.0.len(), out.0[0]), (head + length, 0x81));
            assert_eq!(out.0[1], 0x80 | length.min(126) as u8);
            let unmasked: Vec<u8> = out.0[head..]
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(a, b)| a ^ b)
                .collect();
            assert_eq!(unmasked, payload);
        }
    }

    #[test]
    fn a_close_says_why() {
        assert_eq!(farewell(b"\x03\xe9away"), "the server closed with 1001 away");
        assert_eq!(farewell(b""), "the server closed with 1005 ");
    }
}
