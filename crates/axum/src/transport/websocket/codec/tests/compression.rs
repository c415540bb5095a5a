//! Compression: round trips, windows, and hostile input.

use std::thread;

use bytes::Bytes;
use duplex_fuzz::run;
use duplex_hub::topic::Frame;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::transport::handler::Message;
use crate::transport::websocket::codec::deflate::Inflater;
use crate::transport::websocket::compression::{compress, compress_shared, compressed_form};

const LEVEL: Compression = Compression::new(6);

fn inflate(deflated: &[u8], limit: usize) -> Decoded {
    decode_pieces(&mut deflate_decoder(limit), [&frame(0xc2, deflated)[..]], limit)
}

/// Payloads that compress more or less well.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2000),
        prop::collection::vec(0..3_u8, 0..5000),
        (prop::collection::vec(any::<u8>(), 1..1000), 1..30_usize).prop_map(|(part, count)| part.repeat(count)),
        "(\\{\"price\":[0-9]{5}\\}){0,30}".prop_map(String::into_bytes),
    ]
}

/// The same bytes for the same length, which no compressor makes smaller.
fn random_bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.take(length).collect()
}

#[test]
fn every_payload_survives_every_window_and_level() {
    run((payloads(), 8..=15_u8, 1..=9_u32), |(payload, bits, level)| {
        if let Some(deflated) = deflate(&payload, bits, Compression::new(level)) {
            assert!(deflated.len() < payload.len());
            assert_eq!(inflate(&deflated, LIMIT), (vec![binary(&payload)], None));
        }
    });
}

/// The first two messages share the window of the third.
#[test]
fn a_message_continues_the_one_before() {
    run(
        (payloads(), payloads(), payloads(), 1..=9_u32),
        |(first, second, third, level)| {
            let level = Compression::new(level);
            let (Some(independent), Some(continued)) =
                (deflate(&second, 15, level), deflate_after(&second, &third, level))
            else {
                return;
            };
            let mut window = Window::default();
            if let Some(first_deflated) = deflate(&first, 15, level) {
                assert_eq!(window.inflate(&first_deflated), first);
            }
            assert_eq!(window.inflate(&independent), second);
            assert!(continued.len() < third.len());
            assert_eq!(window.inflate(&continued), third);
            // The compressor keeps nothing of the context.
            assert_eq!(deflate(&second, 15, level), Some(independent));
        },
    );
}

/// A client that keeps its window between messages.
#[derive(Default)]
struct Window(Option<Decompress>);

impl Window {
    fn inflate(&mut self, deflated: &[u8]) -> Vec<u8> {
        let state = self.0.get_or_insert_with(|| Decompress::new(false));
        let input = [deflated, &[0, 0, 0xff, 0xff]].concat();
        let mut out = Vec::with_capacity(1 << 16);
        state.decompress_vec(&input, &mut out, FlushDecompress::Sync).unwrap();
        out
    }
}

#[test]
fn shared_frames_continue_the_last_frame_of_the_client() {
    let text = |number: u32| {
        format!(
            r#"{{"event":{{"topic":"chat/lobby","seq":{number},"text":"{}"}}}}"#,
            "some text ".repeat(9)
        )
    };
    let first = Frame::from(text(1).into_bytes());
    let second = Frame::following(Some(&first), text(2).into_bytes());
    let third = Frame::following(Some(&second), text(3).into_bytes());
    let mut context = None;
    let mut window = Window::default();
    let mut sizes = Vec::new();
    for frame in [&first, &second, &third, &second, &third] {
        let deflated = compress_shared(frame, PARAMS, &mut context).unwrap();
        assert_eq!(context, Some(frame.id()));
        assert_eq!(window.inflate(deflated), **frame);
        sizes.push(deflated.len());
    }
    // After the third, the second is not continued.
    assert!(sizes[1] * 3 < sizes[0] && sizes[3] * 3 > sizes[0], "{sizes:?}");
    assert_eq!((sizes[2], sizes[4]), (sizes[1], sizes[1]));

    // Any other compressed message ends the context.
    let other = Message::Binary(b"other ".repeat(100).into());
    let deflated = compress(&other, PARAMS, &mut context).unwrap();
    assert_eq!((context, window.inflate(&deflated)), (None, other.as_bytes().to_vec()));
    let small = Message::Binary(Bytes::from_static(b"small"));
    context = Some(first.id());
    assert_eq!(compress(&small, PARAMS, &mut context), None);
    assert_eq!(
        context,
        Some(first.id()),
        "the window ends with the last compressed message"
    );

    let declined = DeflateParams {
        server_no_context_takeover: true,
        ..PARAMS
    };
    let independent = compress_shared(&second, declined, &mut context).cloned();
    assert_eq!(independent.as_ref(), compressed_form(&second));
    assert_eq!(Window::default().inflate(&independent.unwrap()), *second);
}

#[test]
fn only_what_becomes_smaller_is_compressed() {
    assert_eq!(deflate(b"", 15, LEVEL), None);
    assert_eq!(deflate(b"abc", 15, LEVEL), None);
    assert_eq!(deflate(&random_bytes(5000), 15, LEVEL), None);
    let deflated = deflate(&[b'a'; 1000], 15, LEVEL).unwrap();
    assert!(
        deflated.len() < 20 && !deflated.ends_with(&[0, 0, 0xff, 0xff]),
        "{deflated:?}"
    );
}

/// RFC 7692 section 7.1.2.1: references stay within the client's window. Random bytes become smaller only by a reference to the same
/// bytes before them.
#[test]
fn references_stay_within_the_window() {
    for bits in 9..=15_u8 {
        let window = 1 << bits;
        let far = random_bytes(window + 1).repeat(2);
        assert_eq!(deflate(&far, bits, LEVEL), None, "{bits} bits");
        let near = random_bytes(window / 3).repeat(6);
        let deflated = deflate(&near, bits, LEVEL).unwrap();
        assert!(
            deflated.len() < near.len() * 2 / 3,
            "{bits} bits: {} to {}",
            near.len(),
            deflated.len()
        );
    }
    assert!(deflate(&random_bytes(513).repeat(2), 10, LEVEL).is_some());
    // The compressor has no window of 256 bytes, and zlib silently uses a larger one.
    assert!(deflate(&[b'a'; 256], 8, LEVEL).is_some());
    assert_eq!(deflate(&[b'a'; 257], 8, LEVEL), None);
    // A payload that fits into all windows is compressed once for all of them.
    assert_eq!(deflate(&[b'a'; 256], 8, LEVEL), deflate(&[b'a'; 256], 15, LEVEL));
}

/// 1 GiB of zeros: 1 MiB of compressed data, whose parts do not refer to each other.
fn bomb() -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let mut part = Vec::with_capacity(1 << 16);
    let status = Compress::new(Compression::best(), false).compress_vec(&zeros, &mut part, FlushCompress::Full);
    assert!(status.is_ok() && part.len() < 2048);
    part.repeat(1024)
}

#[test]
fn a_bomb_stays_within_the_limit() {
    let bomb = bomb();
    let limit = 1 << 20;
    for size in [1000, 50_000, bomb.len()] {
        let bytes = frame(0xc2, &bomb);
        let decoded = decode_pieces(&mut deflate_decoder(limit), bytes.chunks(size), limit);
        assert_eq!(decoded, (vec![], Some(DecodeError::TooBig { limit })), "{size}");
    }
    // It is not inflated beyond the limit.
    let (mut pieces, mut inflated) = (0, 0);
    let result = Inflater::new().inflate(&bomb, |piece| {
        pieces += 1;
        inflated += piece.len();
        if inflated > limit {
            return Err(DecodeError::TooBig { limit });
        }
        Ok(())
    });
    assert_eq!(result, Err(DecodeError::TooBig { limit }));
    assert!(
        inflated <= limit + 4096 && pieces <= limit / 4096 + 2,
        "{inflated} bytes in {pieces} pieces"
    );
}

/// Blocks without content are no way around the limit: the compressed bytes have one, too.
#[test]
fn an_endless_message_of_empty_blocks_fails() {
    let empty = [0, 0, 0, 0xff, 0xff].repeat(100);
    let mut fragments = frame(0x42, &empty);
    for _ in 0..20 {
        fragments.extend(frame(0, &empty));
    }
    let decoded = decode_pieces(&mut deflate_decoder(1000), [&fragments[..]], 1000);
    assert_eq!(decoded, (vec![], Some(DecodeError::TooBig { limit: 1000 })));
}

/// Many DEFLATE streams in one message are inflated one after the other.
#[test]
fn many_last_blocks_are_one_message() {
    let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(
        inflate(&hello.repeat(100), LIMIT),
        (vec![binary(&b"Hello".repeat(100))], None)
    );
    assert_eq!(inflate(&[0x03, 0x00].repeat(30_000), LIMIT), (vec![binary(b"")], None));
}

#[test]
fn truncated_data_is_invalid() {
    let payload: Vec<u8> = (0..400_u32)
        .flat_map(|index| format!("{},", index * index).into_bytes())
        .collect();
    let deflated = deflate(&payload, 15, LEVEL).unwrap();
    for length in 1..deflated.len() {
        let (messages, error) = inflate(&deflated[..length], LIMIT);
        assert_eq!(
            (messages.len(), error),
            (0, Some(DecodeError::InvalidDeflate)),
            "{length} bytes"
        );
    }
}

/// The state of a failed message is not used again, and one client's data is out of reach for the next.
#[test]
fn messages_do_not_share_data() {
    let secret = frame(0xc2, &deflate(&b"secret ".repeat(5000), 15, LEVEL).unwrap());
    // A block with fixed codes: a literal, then a reference to 32 KiB before it.
    let steal = frame(0xc2, &[0x1b, 0xbd, 0xff, 0x1f, 0x00]);
    for between in [&secret[..], &secret[..20], &frame(0xc2, &[0x06])] {
        let _ = decode(&mut deflate_decoder(LIMIT), between);
        let decoded = decode(&mut deflate_decoder(LIMIT), &steal);
        assert_eq!(decoded, (vec![], Some(DecodeError::InvalidDeflate)));
        assert_eq!(
            decode(&mut deflate_decoder(LIMIT), &secret),
            (vec![binary(&b"secret ".repeat(5000))], None)
        );
    }
}

/// Connections move between threads, also with a message that is partially inflated.
#[test]
fn a_message_can_be_inflated_on_several_threads() {
    let payload = b"across threads ".repeat(100);
    let bytes = frame(0xc2, &deflate(&payload, 15, LEVEL).unwrap());
    let mut decoder = deflate_decoder(LIMIT);
    let mut received = Vec::new();
    for piece in bytes.chunks(10) {
        let piece = BytesMut::from(piece);
        let decoded = thread::scope(|scope| {
            let mut piece = piece;
            let decoder = &mut decoder;
            scope.spawn(move || decoder.decode(&mut piece)).join().unwrap()
        });
        received.extend(decoded.unwrap());
    }
    assert_eq!(received, [binary(&payload)]);
}

#[test]
fn hostile_data_is_bounded() {
    let payload = b"{\"price\":12345,\"size\":1}".repeat(40);
    let deflated = deflate(&payload, 15, LEVEL).unwrap();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    run(
        (changes, prop::collection::vec(any::<u8>(), 0..100), any::<bool>()),
        |(changes, random, is_random)| {
            let mut bytes = if is_random { random } else { deflated.to_vec() };
            for (index, byte) in changes {
                if !bytes.is_empty() {
                    let index = index.index(bytes.len());
                    bytes[index] = byte;
                }
            }
            let limit = 2000;
            let (whole, parts) = (frame(0xc2, &bytes), frame(0xc2, &bytes));
            let at_once = decode_pieces(&mut deflate_decoder(limit), [&whole[..]], limit);
            let in_parts = decode_pieces(&mut deflate_decoder(limit), parts.chunks(7), limit);
            assert_eq!(at_once, in_parts);
            if let (messages, None) = at_once {
                assert!(matches!(&messages[..], [Incoming::Binary(inflated)] if inflated.len() <= limit));
            }
        },
    );
}

/// Payloads that only grow leave output in the compressor, which must not reach the next message or overrun its buffer: zlib-rs 0.6.8
/// panics there at level 1.
#[test]
fn payloads_that_grow_leave_nothing_behind() {
    // Bytes from 144 on take 9 bits in a static block.
    let payload: Vec<u8> = random_bytes(131_072).iter().map(|byte| byte | 0x90).collect();
    let small = b"the same words again and again, ".repeat(100);
    for level in [1, limits::MESSAGE_DEFLATE_LEVEL, limits::DEFLATE_LEVEL, 9].map(Compression::new) {
        for window in [9, 10, 12, 15] {
            for payload in [&payload, &payload, &small, &payload] {
                let Some(deflated) = deflate(payload, window, level) else {
                    continue;
                };
                assert_eq!(inflate(&deflated, payload.len()), (vec![binary(payload)], None));
            }
        }
    }
}
