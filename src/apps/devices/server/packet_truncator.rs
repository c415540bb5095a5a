//! Limits the size of incoming MQTT packets below the client library. A longer PUBLISH is truncated to the limit, so that it can be
//! counted and acknowledged: closing the connection instead would not help, because the broker redelivers an unacknowledged message
//! after every reconnect.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mqtt_message::MAX_BODY;

/// The longest variable header of a PUBLISH: the topic with its length, and a packet id.
const MAX_VARIABLE_HEADER: usize = 2 + u16::MAX as usize + 2;
/// Maximum bytes after a packet's fixed header. The payload of a packet truncated to this length is still too long for a report.
pub const MAX_PACKET: usize = MAX_VARIABLE_HEADER + MAX_BODY + 1;
/// Bytes read from the socket at a time.
const CHUNK: usize = 8 << 10;
/// The packet type PUBLISH (MQTT 3.1.1, 2.2.1).
const PUBLISH: u8 = 3;
/// Maximum bytes of the remaining length field (MQTT 3.1.1, 2.2.3).
const MAX_LENGTH_BYTES: usize = 4;

/// Parses fixed headers in a byte stream, which arrives in chunks of any size, and truncates long PUBLISH packets.
#[derive(Debug, Default)]
pub struct PacketTruncator {
    /// The incomplete fixed header.
    header: Vec<u8>,
    /// Bytes of the current packet still to be copied.
    to_copy: usize,
    /// Bytes of the current packet still to be dropped.
    to_drop: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the MQTT broker sent a packet of {0} bytes that is not a PUBLISH")]
pub struct PacketTooLong(usize);

impl PacketTruncator {
    /// Appends to `out` the bytes of `input` to pass on to the MQTT client library.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), PacketTooLong> {
        while !input.is_empty() {
            if self.to_copy > 0 {
                let (copied, rest) = input.split_at(self.to_copy.min(input.len()));
                out.extend_from_slice(copied);
                (self.to_copy, input) = (self.to_copy - copied.len(), rest);
            } else if self.to_drop > 0 {
                let dropped = self.to_drop.min(input.len());
                (self.to_drop, input) = (self.to_drop - dropped, input.get(dropped..).unwrap_or_default());
            } else if let [byte, rest @ ..] = input {
                self.header.push(*byte);
                input = rest;
                self.parse_header(out)?;
            }
        }
        Ok(())
    }

    fn parse_header(&mut self, out: &mut Vec<u8>) -> Result<(), PacketTooLong> {
        let [kind, length @ ..] = self.header.as_slice() else {
            return Ok(());
        };
        let is_complete = length.last().is_some_and(|byte| byte & 0x80 == 0);
        if !is_complete && length.len() < MAX_LENGTH_BYTES {
            return Ok(());
        }
        // The library rejects a malformed length.
        let total = length
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        if total <= MAX_PACKET || !is_complete {
            out.append(&mut self.header);
            self.to_copy = total;
            return Ok(());
        }
        if kind >> 4 != PUBLISH {
            return Err(PacketTooLong(total));
        }
        out.push(*kind);
        write_length(MAX_PACKET, out);
        self.header.clear();
        (self.to_copy, self.to_drop) = (MAX_PACKET, total - MAX_PACKET);
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

/// Wraps the broker connection and truncates incoming packets.
pub struct TruncatingStream<S> {
    stream: S,
    truncator: PacketTruncator,
    chunk: Box<[u8]>,
    ready: Vec<u8>,
    /// Bytes of `ready` already read.
    consumed: usize,
}

impl<S> TruncatingStream<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            truncator: PacketTruncator::default(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            ready: Vec::new(),
            consumed: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TruncatingStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.consumed == this.ready.len() {
            this.ready.clear();
            this.consumed = 0;
            let mut chunk = ReadBuf::new(&mut this.chunk);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.truncator
                .push(chunk.filled(), &mut this.ready)
                .map_err(io::Error::other)?;
        }
        let rest = this.ready.get(this.consumed..).unwrap_or_default();
        let taken = rest.len().min(out.remaining());
        out.put_slice(rest.get(..taken).unwrap_or_default());
        this.consumed += taken;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TruncatingStream<S> {
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

    fn truncate(bytes: &[u8], chunk: usize) -> Result<Vec<u8>, PacketTooLong> {
        let (mut truncator, mut out) = (PacketTruncator::default(), Vec::new());
        for chunk in bytes.chunks(chunk) {
            truncator.push(chunk, &mut out)?;
        }
        Ok(out)
    }

    #[test]
    fn only_long_publish_packets_are_truncated() {
        let long = 5 * MAX_PACKET;
        let mut bytes = packet(PUBLISH, 10);
        bytes.extend(packet(PUBLISH, long));
        bytes.extend(packet(13, 0));
        bytes.extend(packet(PUBLISH, MAX_PACKET));
        let mut expected = packet(PUBLISH, 10);
        expected.extend(packet(PUBLISH, MAX_PACKET));
        expected.extend(packet(13, 0));
        expected.extend(packet(PUBLISH, MAX_PACKET));
        for chunk in [1, 7, CHUNK, bytes.len()] {
            assert_eq!(truncate(&bytes, chunk), Ok(expected.clone()), "in chunks of {chunk}");
        }
    }

    #[test]
    fn a_long_packet_of_another_type_fails_at_its_header() {
        let bytes = packet(9, MAX_PACKET + 1);
        assert_eq!(truncate(&bytes[..4], 1), Err(PacketTooLong(MAX_PACKET + 1)));
        assert!(truncate(&packet(9, MAX_PACKET), 5).is_ok());
    }

    #[tokio::test]
    async fn the_longest_possible_packet_needs_little_memory() {
        const MAX_REMAINING_LENGTH: usize = 268_435_455;
        let mut header = vec![PUBLISH << 4];
        write_length(MAX_REMAINING_LENGTH, &mut header);
        let stream = header
            .chain(tokio::io::repeat(b'x').take(MAX_REMAINING_LENGTH as u64))
            .chain(&[0xd0, 0][..]);
        let mut bounded = TruncatingStream::new(stream);
        let (mut received, mut chunk, mut tail) = (0, [0; 4096], Vec::new());
        loop {
            match bounded.read(&mut chunk).await.unwrap() {
                0 => break,
                count => {
                    received += count;
                    tail = chunk[..count].to_vec();
                }
            }
            assert!(bounded.ready.capacity() <= 4 * CHUNK);
        }
        assert_eq!(received, packet(PUBLISH, MAX_PACKET).len() + 2);
        assert!(tail.ends_with(&[0xd0, 0]));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..400), chunk in 1usize..50) {
            let (mut truncator, mut out) = (PacketTruncator::default(), Vec::new());
            for chunk in bytes.chunks(chunk) {
                if truncator.push(chunk, &mut out).is_err() {
                    return Ok(());
                }
                prop_assert!(truncator.to_copy <= MAX_PACKET.max(268_435_455) && truncator.header.len() <= 1 + MAX_LENGTH_BYTES);
            }
            prop_assert!(out.len() <= bytes.len());
        }
    }
}
