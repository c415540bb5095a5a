//! Tests of the codec.

use bytes::{Bytes, BytesMut};

use super::*;

mod compare;
mod compression;
mod encoding;
mod extensions;
mod fuzz;
mod rules;
mod splits;
mod throughput;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const LIMIT: usize = 1 << 16;
const PARAMS: DeflateParams = DeflateParams {
    server_max_window_bits: 15,
    server_no_context_takeover: false,
    names_window: false,
};

/// A masked frame. `first` is its first byte: the bits and the opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match payload.len() {
        short @ ..126 => bytes.extend([first, 0x80 | short as u8]),
        medium @ ..65_536 => {
            bytes.extend([first, 0xfe]);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.extend([first, 0xff]);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(masked(payload));
    bytes
}

fn masked(payload: &[u8]) -> impl Iterator<Item = u8> {
    payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask)
}

fn plain_decoder(max_message: usize) -> Decoder {
    Decoder::new(DecoderConfig {
        max_message,
        deflate: None,
    })
}

fn deflate_decoder(max_message: usize) -> Decoder {
    Decoder::new(DecoderConfig {
        max_message,
        deflate: Some(PARAMS),
    })
}

/// The messages before the end of the bytes or an error.
type Decoded = (Vec<Incoming>, Option<DecodeError>);

/// Decodes bytes that arrive in pieces, up to the first error or close frame. The decoder's memory and the rest that it leaves in the
/// buffer stay within their bounds.
fn decode_pieces<'a>(decoder: &mut Decoder, pieces: impl IntoIterator<Item = &'a [u8]>, max_message: usize) -> Decoded {
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(close @ Incoming::Close(_))) => {
                    messages.push(close);
                    return (messages, None);
                }
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(
            decoder.partial_len() <= max_message.max(256) + (64 << 10),
            "{}",
            decoder.partial_len()
        );
        assert!(decoder.partial_len() == 0 || !decoder.is_between_messages());
        assert!(
            buffer.len() < 6 + 125,
            "an incomplete header or control frame is shorter than {}",
            buffer.len()
        );
    }
    (messages, None)
}

fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Decoded {
    decode_pieces(decoder, [bytes], LIMIT)
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.into())
}

fn binary(bytes: &[u8]) -> Incoming {
    Incoming::Binary(Bytes::copy_from_slice(bytes))
}

fn ping(bytes: &[u8]) -> Incoming {
    Incoming::Ping(Bytes::copy_from_slice(bytes))
}
