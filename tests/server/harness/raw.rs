//! A WebSocket peer that writes whatever bytes a test gives it, right or wrong.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::within;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Set in a frame's first byte: it is the last of its message.
pub const FIN: u8 = 0x80;

pub struct Raw<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Makes the handshake.
    pub async fn open(stream: S, path: &str) -> Self {
        let mut raw = Self(stream);
        raw.write(handshake(path).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        within(self.0.write_all(bytes)).await.unwrap();
    }

    /// An HTTP head, up to its empty line.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// The next frame: its first byte, and its payload.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let first = within(self.0.read_u8()).await.unwrap();
        let length = match within(self.0.read_u8()).await.unwrap() {
            126 => usize::from(within(self.0.read_u16()).await.unwrap()),
            127 => usize::try_from(within(self.0.read_u64()).await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        within(self.0.read_exact(&mut payload)).await.unwrap();
        (first, payload)
    }

    /// The close frame that comes next, and then the end of the server's half.
    pub async fn closed(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().await;
        assert_eq!(first, FIN | CLOSE);
        let (code, reason) = payload.split_at(2);
        assert_eq!(within(self.0.read(&mut [0])).await.unwrap(), 0, "the server hangs up");
        (
            u16::from_be_bytes([code[0], code[1]]),
            String::from_utf8(reason.to_vec()).unwrap(),
        )
    }
}

pub fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A client's frame. The mask is four zero bytes, so that the payload stays as it is.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, 0x80, payload)
}

/// What no client may send.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, 0, payload)
}

fn frame(first: u8, mask_bit: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(mask_bit | short as u8),
        medium @ 126..=0xffff => {
            frame.push(mask_bit | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(mask_bit | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    if mask_bit != 0 {
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}
