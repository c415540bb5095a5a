//! Messages survive every encoding and every split of their bytes.

use std::iter::once;

use duplex_fuzz::run;
use proptest::prelude::*;

use super::*;

/// A data message, with the places at which it is cut into fragments.
#[derive(Debug, Clone)]
struct Sent {
    message: Incoming,
    is_compressed: bool,
    cuts: Vec<prop::sample::Index>,
    pings: bool,
}

fn messages() -> impl Strategy<Value = Incoming> {
    prop_oneof![
        "\\PC{0,300}".prop_map(|text| Incoming::Text(text.into())),
        "[가-힣\u{1f600}-\u{1f64f}]{0,40}".prop_map(|text| Incoming::Text(text.into())),
        prop::collection::vec(any::<u8>(), 0..3000).prop_map(|bytes| Incoming::Binary(bytes.into())),
        (any::<u8>(), 0..10_000_usize).prop_map(|(byte, count)| Incoming::Binary(vec![byte; count].into())),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (messages(), any::<bool>(), cuts, any::<bool>()).prop_map(|(message, is_compressed, cuts, pings)| Sent {
        message,
        is_compressed,
        cuts,
        pings,
    })
}

fn encode(sent: &Sent) -> (Vec<u8>, Vec<Incoming>) {
    let (opcode, plain) = match &sent.message {
        Incoming::Text(text) => (1, text.as_bytes()),
        Incoming::Binary(bytes) => (2, &bytes[..]),
        other => panic!("{other:?}"),
    };
    let deflated = sent
        .is_compressed
        .then(|| deflate(plain, 15, flate2::Compression::new(6)))
        .flatten();
    let rsv1 = if deflated.is_some() { RSV1 } else { 0 };
    let payload = deflated.as_deref().unwrap_or(plain);
    let mut cuts: Vec<_> = sent.cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
    cuts.sort_unstable();
    let starts: Vec<_> = once(0).chain(cuts.iter().copied()).collect();
    let ends = cuts.iter().copied().chain(once(payload.len()));
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for (index, (start, end)) in starts.iter().zip(ends).enumerate() {
        let first = if index == 0 { rsv1 | opcode } else { 0 };
        let fin = if index == cuts.len() { FIN } else { 0 };
        bytes.extend(frame(fin | first, &payload[*start..end]));
        if sent.pings && index < cuts.len() {
            bytes.extend(frame(0x89, b"between"));
            expected.push(ping(b"between"));
        }
    }
    expected.push(sent.message.clone());
    (bytes, expected)
}

#[test]
fn every_split_of_the_bytes_gives_the_same_messages() {
    let sequences = prop::collection::vec(sent(), 1..6);
    run(
        (sequences, prop::collection::vec(1..3000_usize, 1..20)),
        |(sequence, sizes)| {
            let (bytes, expected): (Vec<_>, Vec<_>) = sequence.iter().map(encode).unzip();
            let (bytes, expected) = (bytes.concat(), expected.concat());
            let mut rest = &bytes[..];
            let pieces = sizes.iter().cycle().map_while(|size| {
                let (piece, next) = rest.split_at((*size).min(rest.len()));
                rest = next;
                (!piece.is_empty()).then_some(piece)
            });
            let decoded = decode_pieces(&mut deflate_decoder(LIMIT), pieces, LIMIT);
            assert_eq!(decoded, (expected, None));
        },
    );
}

/// A short stream, cut at every place and byte by byte.
#[test]
fn every_cut_gives_the_same_messages() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let bytes = [
        frame(0x81, "안녕".as_bytes()),
        frame(0x41, &hello[..2]),
        frame(0x89, b"p"),
        frame(0x80, &hello[2..]),
        frame(2, &[9; 200]),
        frame(0x80, &[8; 1100]),
        frame(0x82, &[7; 1100]),
        frame(0x88, &[3, 232, b'x']),
    ]
    .concat();
    let (expected, error) = decode(&mut deflate_decoder(LIMIT), &bytes);
    assert_eq!((expected.len(), error), (6, None));
    for cut in 0..=bytes.len() {
        let (start, end) = bytes.split_at(cut);
        let decoded = decode_pieces(&mut deflate_decoder(LIMIT), [start, end], LIMIT);
        assert_eq!(decoded, (expected.clone(), None), "cut at {cut}");
    }
    let decoded = decode_pieces(&mut deflate_decoder(LIMIT), bytes.chunks(1), LIMIT);
    assert_eq!(decoded, (expected, None));
}
