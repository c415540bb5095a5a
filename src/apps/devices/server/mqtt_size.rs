//! Bounds the size of incoming MQTT packets below the client library. A message longer than the limit reaches the library cut to the limit, so
//! that it can be counted and acknowledged: a connection that ends at such a message would meet it again after every reconnect, because the
//! broker keeps what is not acknowledged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::letter::MAX_BODY;

/// The longest topic with its length, and a packet id.
const LONGEST_HEAD: usize = 2 + u16::MAX as usize + 2;
/// Bytes behind a packet's fixed header. What is cut to this length still has a payload that is too long for a report.
pub const MAX_PACKET: usize = LONGEST_HEAD + MAX_BODY + 1;
/// Bytes taken from the socket at a time.
const CHUNK: usize = 8 << 10;
/// The packet type of a message (MQTT 3.1.1, 2.2.1).
const PUBLISH: u8 = 3;
/// A remaining length has at most four bytes (MQTT 3.1.1, 2.2.3).
const LENGTH_BYTES: usize = 4;

/// Reads packets' fixed headers in a stream of bytes that arrives in pieces of any size.
#[derive(Debug, Default)]
pub struct Cutter {
    header: Vec<u8>,
    pass: usize,
    skip: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the MQTT broker sent a packet of {0} bytes that is not a message")]
pub struct TooLong(usize);

impl Cutter {
    /// Appends to `out` what the library may see of `input`.
    pub fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
        while !input.is_empty() {
            if self.pass > 0 {
                let (passed, rest) = input.split_at(self.pass.min(input.len()));
                out.extend_from_slice(passed);
                (self.pass, input) = (self.pass - passed.len(), rest);
            } else if self.skip > 0 {
                let skipped = self.skip.min(input.len());
                (self.skip, input) = (self.skip - skipped, input.get(skipped..).unwrap_or_default());
            } else if let [byte, rest @ ..] = input {
                self.header.push(*byte);
                input = rest;
                self.head(out)?;
            }
        }
        Ok(())
    }

    fn head(&mut self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let [kind, length @ ..] = self.header.as_slice() else {
            return Ok(());
        };
        let ended = length.last().is_some_and(|byte| byte & 0x80 == 0);
        if !ended && length.len() < LENGTH_BYTES {
            return Ok(());
        }
        // A length without an end is passed on: the library refuses it.
        let total = length
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        if total <= MAX_PACKET || !ended {
            out.append(&mut self.header);
            self.pass = total;
            return Ok(());
        }
        if kind >> 4 != PUBLISH {
            return Err(TooLong(total));
        }
        out.push(*kind);
        write_length(MAX_PACKET, out);
        self.header.clear();
        (self.pass, self.skip) = (MAX_PACKET, total - MAX_PACKET);
        Ok(())
    }
}

fn write_length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// A connection to a broker whose packets are bounded.
pub struct Bounded<S> {
    stream: S,
    cutter: Cutter,
    chunk: Box<[u8]>,
    ready: Vec<u8>,
    /// How much of `ready` was read.
    at: usize,
}

impl<S> Bounded<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            cutter: Cutter::default(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            ready: Vec::new(),
            at: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.at == this.ready.len() {
            this.ready.clear();
            this.at = 0;
            let mut chunk = ReadBuf::new(&mut this.chunk);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.cutter
                .feed(chunk.filled(), &mut this.ready)
                .map_err(io::Error::other)?;
        }
        let rest = this.ready.get(this.at..).unwrap_or_default();
        let taken = rest.len().min(out.remaining());
        out.put_slice(rest.get(..taken).unwrap_or_default());
        this.at += taken;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn packet(kind: u8, body: usize) -> Vec<u8> {
        let mut bytes = vec![kind << 4];
        write_length(body, &mut bytes);
        bytes.resize(bytes.len() + body, b'x');
        bytes
    }

    fn cut(bytes: &[u8], piece: usize) -> Result<Vec<u8>, TooLong> {
        let (mut cutter, mut out) = (Cutter::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            cutter.feed(piece, &mut out)?;
        }
        Ok(out)
    }

    #[test]
    fn a_message_is_cut_and_its_neighbours_stay() {
        let long = 5 * MAX_PACKET;
        let mut bytes = packet(PUBLISH, 10);
        bytes.extend(packet(PUBLISH, long));
        bytes.extend(packet(13, 0));
        bytes.extend(packet(PUBLISH, MAX_PACKET));
        let mut expected = packet(PUBLISH, 10);
        expected.extend(packet(PUBLISH, MAX_PACKET));
        expected.extend(packet(13, 0));
        expected.extend(packet(PUBLISH, MAX_PACKET));
        for piece in [1, 7, CHUNK, bytes.len()] {
            assert_eq!(cut(&bytes, piece), Ok(expected.clone()), "in pieces of {piece}");
        }
    }

    #[test]
    fn another_packet_of_that_length_ends_the_connection_at_its_header() {
        let bytes = packet(9, MAX_PACKET + 1);
        assert_eq!(cut(&bytes[..4], 1), Err(TooLong(MAX_PACKET + 1)));
        assert!(cut(&packet(9, MAX_PACKET), 5).is_ok());
    }

    #[tokio::test]
    async fn a_packet_of_the_protocols_own_limit_takes_little_memory() {
        const WHOLE: usize = 268_435_455;
        let mut header = vec![PUBLISH << 4];
        write_length(WHOLE, &mut header);
        let stream = header
            .chain(tokio::io::repeat(b'x').take(WHOLE as u64))
            .chain(&[0xd0, 0][..]);
        let mut bounded = Bounded::new(stream);
        let (mut heard, mut piece, mut tail) = (0, [0; 4096], Vec::new());
        loop {
            match bounded.read(&mut piece).await.unwrap() {
                0 => break,
                count => {
                    heard += count;
                    tail = piece[..count].to_vec();
                }
            }
            assert!(bounded.ready.capacity() <= 4 * CHUNK);
        }
        assert_eq!(heard, packet(PUBLISH, MAX_PACKET).len() + 2);
        assert!(tail.ends_with(&[0xd0, 0]));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..400), piece in 1usize..50) {
            let (mut cutter, mut out) = (Cutter::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                if cutter.feed(piece, &mut out).is_err() {
                    return Ok(());
                }
                prop_assert!(cutter.pass <= MAX_PACKET.max(268_435_455) && cutter.header.len() <= 1 + LENGTH_BYTES);
            }
            prop_assert!(out.len() <= bytes.len());
        }
    }
}
