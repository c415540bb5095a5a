//! A raw HTTP and WebSocket client that sends exactly the given bytes, valid or not.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::with_timeout;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The FIN bit of a frame's first byte: the frame is the last of its message.
pub const FIN: u8 = 0x80;

pub struct RawConnection<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> RawConnection<S> {
    /// Connects with a WebSocket handshake.
    pub async fn open(stream: S, path: &str) -> Self {
        Self::open_with(stream, path, "").await.0
    }

    /// Connects with a WebSocket handshake that has more header lines, each with its line break. Returns the response's head, too.
    pub async fn open_with(stream: S, path: &str, lines: &str) -> (Self, String) {
        let mut raw = Self(stream);
        let request = handshake_request(path);
        let request = format!("{}\r\n{lines}\r\n", request.trim_end());
        raw.write(request.as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (raw, head)
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        with_timeout(self.0.write_all(bytes)).await.unwrap();
    }

    /// Reads an HTTP head, up to and including its empty line.
    pub async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(with_timeout(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads the next frame; returns its first byte and its payload.
    pub async fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let first = with_timeout(self.0.read_u8()).await.unwrap();
        let length = match with_timeout(self.0.read_u8()).await.unwrap() {
            126 => usize::from(with_timeout(self.0.read_u16()).await.unwrap()),
            127 => usize::try_from(with_timeout(self.0.read_u64()).await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        with_timeout(self.0.read_exact(&mut payload)).await.unwrap();
        (first, payload)
    }

    /// Reads the close frame and the end of the stream that must come next.
    pub async fn expect_close(&mut self) -> (u16, String) {
        let (first, payload) = self.read_frame().await;
        assert_eq!(first, FIN | CLOSE);
        let (code, reason) = payload.split_at(2);
        assert_eq!(
            with_timeout(self.0.read(&mut [0])).await.unwrap(),
            0,
            "the server did not close the connection"
        );
        (
            u16::from_be_bytes([code[0], code[1]]),
            String::from_utf8(reason.to_vec()).unwrap(),
        )
    }
}

pub fn handshake_request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A client's frame. Its masking key is zero, so the payload is readable.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, 0x80, payload)
}

/// A frame without a mask, which a client must not send (RFC 6455, section 5.1).
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
