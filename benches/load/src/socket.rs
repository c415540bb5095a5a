//! A non-blocking WebSocket client. It supports unfragmented messages, and compressed ones from the server.

use crate::{
    Result,
    echo_client::{ACCEPT, KEY},
    inflate::{Inflater, OFFER, Window},
};
use mio::net::TcpStream;
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    rc::Rc,
};

/// The masking key of all frames: the load has no secrets.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A server's WebSocket endpoint.
pub struct Endpoint {
    pub path: &'static str,
    /// Additional headers, each with its line break.
    pub headers: String,
    /// Whether the server must compress its messages (permessage-deflate).
    pub deflate: bool,
}

pub enum SocketEvent<'a> {
    Opened,
    Payload {
        /// The payload, inflated.
        payload: &'a [u8],
        /// The bytes of its frame as received, with the header.
        wire_bytes: usize,
    },
}

/// Frames to be written.
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
                let long = u16::try_from(long).expect("client messages are short");
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
    deflate: bool,
    /// What the server's messages may refer to. `None` if it compresses each message by itself.
    window: Option<Rc<Window>>,
    /// A partially received frame or handshake response.
    partial: Vec<u8>,
    pub out: Outbox,
}

impl Socket {
    pub fn connect(addr: SocketAddr, endpoint: &Endpoint) -> Result<Self> {
        let Endpoint { path, headers, deflate } = endpoint;
        let extensions = match deflate {
            true => format!("Sec-WebSocket-Extensions: {OFFER}\r\n"),
            false => String::new(),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nOrigin: http://{addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}{extensions}\r\n"
        );
        let stream = TcpStream::connect(addr)?;
        Ok(Self {
            stream,
            open: false,
            deflate: *deflate,
            window: None,
            partial: Vec::new(),
            out: Outbox(request.into_bytes()),
        })
    }

    pub fn flush(&mut self) -> Result<()> {
        while !self.out.0.is_empty() {
            match self.stream.write(&self.out.0) {
                Ok(written) => drop(self.out.0.drain(..written)),
                // NotConnected: the connection is still being established.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads all available bytes. A short read means that the socket is empty, which saves a system call.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        inflater: &mut Inflater,
        on_event: &mut impl FnMut(&mut Outbox, SocketEvent) -> Result<()>,
    ) -> Result<()> {
        let mut drained = false;
        while !drained {
            let kept = self.partial.len();
            buffer[..kept].copy_from_slice(&self.partial);
            let read = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) => return Err(error.into()),
            };
            let filled = kept + read;
            drained = filled < buffer.len();
            let parsed = self.parse(&buffer[..filled], inflater, on_event)?;
            if parsed == 0 && !drained {
                return Err("a frame is larger than the buffer".into());
            }
            self.partial.clear();
            self.partial.extend_from_slice(&buffer[parsed..filled]);
        }
        Ok(())
    }

    /// Reports the complete frames, and returns the number of parsed bytes.
    fn parse(
        &mut self,
        bytes: &[u8],
        inflater: &mut Inflater,
        on_event: &mut impl FnMut(&mut Outbox, SocketEvent) -> Result<()>,
    ) -> Result<usize> {
        let mut parsed = 0;
        if !self.open {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(0);
            };
            if check_handshake(&bytes[..end], self.deflate)? {
                self.window = Some(Rc::default());
            }
            self.open = true;
            parsed = end + 4;
            on_event(&mut self.out, SocketEvent::Opened)?;
        }
        while let Some((first, payload, length)) = frame(&bytes[parsed..]) {
            parsed += length;
            match first {
                0x81 | 0x82 | 0xc1 | 0xc2 => {
                    let payload = match first & 0x40 {
                        0 => payload,
                        _ if self.deflate => {
                            inflater.inflate(self.window.as_mut().unwrap_or(&mut Rc::default()), payload)?
                        }
                        _ => return Err("a compressed message on a connection without compression".into()),
                    };
                    let wire_bytes = length;
                    on_event(&mut self.out, SocketEvent::Payload { payload, wire_bytes })?;
                }
                0x88 => return Err(close_error(payload).into()),
                0x89 => self.out.frame(0x8a, payload),
                0x8a => {}
                other => return Err(format!("unexpected frame: first byte {other:#04x}").into()),
            }
        }
        Ok(parsed)
    }
}

/// Returns whether the server's messages may refer to earlier ones.
fn check_handshake(response: &[u8], deflate: bool) -> Result<bool> {
    let response = String::from_utf8_lossy(response);
    if !response.starts_with("HTTP/1.1 101") || !response.contains(ACCEPT) {
        let status = response.lines().next().unwrap_or_default();
        return Err(format!("a connection was rejected: {status}").into());
    }
    let extensions = response.lines().filter_map(|line| line.split_once(':'));
    let mut extensions = extensions.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"));
    let accepted = extensions.find(|(_, value)| value.contains("permessage-deflate"));
    if deflate && accepted.is_none() {
        return Err("the server does not accept permessage-deflate".into());
    }
    Ok(accepted.is_some_and(|(_, value)| !value.contains("server_no_context_takeover")))
}

/// The first byte, the payload and the length of the first frame, if it is complete.
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

fn close_error(payload: &[u8]) -> String {
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
    fn frames_are_parsed_only_when_complete() {
        let long = vec![b'x'; 300];
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x82, 126, 1, 44];
        bytes.extend(&long);
        assert_eq!(frame(&bytes), Some((0x81, &b"hi"[..], 4)));
        assert_eq!(frame(&bytes[4..]), Some((0x82, &long[..], 304)));
        for length in 0..4 {
            assert_eq!(frame(&bytes[..length]), None);
        }
        assert_eq!(frame(&bytes[4..bytes.len() - 1]), None);
    }

    #[test]
    fn outgoing_frames_are_masked() {
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
    fn a_handshake_without_the_requested_compression_fails() {
        let response = |extensions: &str| format!("HTTP/1.1 101 \r\nsec-websocket-accept: {ACCEPT}{extensions}");
        let check = |response: String, deflate| check_handshake(response.as_bytes(), deflate).ok();
        assert_eq!(check(response(""), false), Some(false));
        assert_eq!(check(response(""), true), None);
        let declined = "\r\nsec-websocket-extensions: permessage-deflate; server_no_context_takeover";
        assert_eq!(check(response(declined), true), Some(false));
        assert_eq!(
            check(response(&format!("\r\nSec-WebSocket-Extensions: {OFFER}")), true),
            Some(true)
        );
        assert_eq!(check("HTTP/1.1 403 Forbidden".to_owned(), false), None);
    }

    #[test]
    fn a_close_error_has_the_code_and_reason() {
        assert_eq!(close_error(b"\x03\xe9away"), "the server closed with 1001 away");
        assert_eq!(close_error(b""), "the server closed with 1005 ");
    }
}
