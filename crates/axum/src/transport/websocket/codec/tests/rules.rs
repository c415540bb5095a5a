//! The rules of RFC 6455 and RFC 7692, one by one.

use super::*;

/// The RFC's section, what is received, and what results.
type Case<'a> = (&'a str, Vec<u8>, Result<Vec<Incoming>, DecodeError>);

fn check(mut decoder: impl FnMut() -> Decoder, cases: Vec<Case<'_>>) {
    for (section, bytes, expected) in cases {
        for size in [1, 2, 3, bytes.len().max(1)] {
            let (messages, error) = decode_pieces(&mut decoder(), bytes.chunks(size), LIMIT);
            match &expected {
                Ok(expected) => assert_eq!((&messages, error), (expected, None), "{section}"),
                Err(expected) => assert_eq!(error, Some(*expected), "{section}: {messages:?}"),
            }
        }
    }
}

/// Changes the first bytes of a frame.
fn with_start(mut frame: Vec<u8>, start: &[u8]) -> Vec<u8> {
    frame.splice(..start.len(), start.iter().copied());
    frame
}

#[test]
fn headers_follow_section_5_2() {
    let mut cases = vec![
        (
            "5.1 unmasked",
            vec![0x81, 5, b'H', b'e', b'l', b'l', b'o'],
            Err(DecodeError::Unmasked),
        ),
        (
            "5.2 RSV1 without an extension",
            frame(0xc1, b"x"),
            Err(DecodeError::ReservedBits),
        ),
        ("5.2 RSV2", frame(0xa1, b"x"), Err(DecodeError::ReservedBits)),
        ("5.2 RSV3", frame(0x91, b"x"), Err(DecodeError::ReservedBits)),
        ("5.2 125 bytes", frame(0x82, &[7; 125]), Ok(vec![binary(&[7; 125])])),
        ("5.2 126 bytes", frame(0x82, &[7; 126]), Ok(vec![binary(&[7; 126])])),
        (
            "5.2 65535 bytes",
            frame(0x82, &[7; 65_535]),
            Ok(vec![binary(&[7; 65_535])]),
        ),
        (
            "5.2 65536 bytes",
            frame(0x82, &[7; 65_536]),
            Ok(vec![binary(&[7; 65_536])]),
        ),
        (
            "5.2 125 bytes in 16 bits",
            vec![0x82, 0xfe, 0, 125],
            Err(DecodeError::NonMinimalLength),
        ),
        (
            "5.2 65535 bytes in 64 bits",
            vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            Err(DecodeError::NonMinimalLength),
        ),
        (
            "5.2 the highest bit of a length",
            vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0],
            Err(DecodeError::LengthOverflow),
        ),
        (
            "5.7 Hello",
            vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58],
            Ok(vec![text("Hello")]),
        ),
        ("5.6 empty text", frame(0x81, b""), Ok(vec![text("")])),
        ("5.6 empty binary", frame(0x82, b""), Ok(vec![binary(b"")])),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push((
            "5.2 reserved",
            frame(FIN | opcode, b""),
            Err(DecodeError::ReservedOpcode(opcode)),
        ));
    }
    check(|| plain_decoder(LIMIT), cases);
}

#[test]
fn fragments_follow_section_5_4() {
    let fragments = [frame(1, "안".as_bytes()), frame(0, b""), frame(FIN, "녕".as_bytes())];
    let cases = vec![
        ("5.4 fragments", fragments.concat(), Ok(vec![text("안녕")])),
        (
            "5.4 empty fragments",
            [frame(1, b""), frame(0, b""), frame(FIN, b"")].concat(),
            Ok(vec![text("")]),
        ),
        (
            "5.4 control frames between fragments",
            [frame(2, b"a"), frame(0x89, b"p"), frame(0x8a, b"q"), frame(FIN, b"b")].concat(),
            Ok(vec![
                ping(b"p"),
                Incoming::Pong(Bytes::from_static(b"q")),
                binary(b"ab"),
            ]),
        ),
        (
            "5.4 a close frame between fragments",
            [frame(2, b"a"), frame(0x88, b"")].concat(),
            Ok(vec![Incoming::Close(None)]),
        ),
        (
            "5.4 a continuation of nothing",
            frame(FIN, b"x"),
            Err(DecodeError::UnexpectedContinuation),
        ),
        (
            "5.4 not the last one either",
            frame(0, b"x"),
            Err(DecodeError::UnexpectedContinuation),
        ),
        (
            "5.4 a continuation after the last",
            [frame(1, b"a"), frame(FIN, b"b"), frame(FIN, b"c")].concat(),
            Err(DecodeError::UnexpectedContinuation),
        ),
        (
            "5.4 a new message within a message",
            [frame(1, b"a"), frame(0x81, b"b")].concat(),
            Err(DecodeError::ExpectedContinuation),
        ),
        (
            "5.4 a new fragmented message within a message",
            [frame(1, b"a"), frame(2, b"b")].concat(),
            Err(DecodeError::ExpectedContinuation),
        ),
    ];
    check(|| plain_decoder(LIMIT), cases);
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn control_frames_follow_section_5_5() {
    let mut cases = vec![
        (
            "5.5 a fragmented control frame",
            frame(9, b""),
            Err(DecodeError::FragmentedControl),
        ),
        (
            "5.5 126 bytes",
            frame(0x89, &[0; 126]),
            Err(DecodeError::ControlTooLong),
        ),
        (
            "5.5 a length of 64 bits",
            with_start(frame(0x88, b""), &[0x88, 0xff]),
            Err(DecodeError::ControlTooLong),
        ),
        ("5.5.2 125 bytes", frame(0x89, &[1; 125]), Ok(vec![ping(&[1; 125])])),
        ("5.5.1 no code", frame(0x88, b""), Ok(vec![Incoming::Close(None)])),
        (
            "5.5.1 half a code",
            frame(0x88, &[3]),
            Err(DecodeError::TruncatedCloseCode),
        ),
        (
            "5.5.1 a code and a reason",
            close(1000, "안녕".as_bytes()),
            Ok(vec![Incoming::Close(Some((1000, "안녕".into())))]),
        ),
        (
            "5.5.1 a reason that is not text",
            close(1000, b"\xff"),
            Err(DecodeError::InvalidUtf8),
        ),
        (
            "5.5.1 a reason with half a character",
            close(1000, b"\xec\x95"),
            Err(DecodeError::InvalidUtf8),
        ),
    ];
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
    ] {
        cases.push((
            "7.4",
            close(code, b""),
            Ok(vec![Incoming::Close(Some((code, Text::default())))]),
        ));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        cases.push(("7.4", close(code, b"why"), Err(DecodeError::InvalidCloseCode(code))));
    }
    check(|| plain_decoder(LIMIT), cases);
}

const INVALID_UTF8: [&[u8]; 9] = [
    b"\x80",
    b"\xc0\xaf",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xfe",
    b"\xec\x95x",
];

#[test]
fn text_is_utf8_as_section_8_1_demands() {
    let mut cases = vec![
        (
            "8.1 the last character",
            frame(0x81, "\u{10ffff}".as_bytes()),
            Ok(vec![text("\u{10ffff}")]),
        ),
        (
            "8.1 half a character",
            frame(0x81, b"\xec\x95"),
            Err(DecodeError::InvalidUtf8),
        ),
        (
            "8.1 half a character in the last fragment",
            [frame(1, b"x"), frame(FIN, b"\xf0\x9f\x98")].concat(),
            Err(DecodeError::InvalidUtf8),
        ),
        (
            "8.1 characters that are split",
            [
                frame(1, b"\xf0"),
                frame(0, b""),
                frame(0, b"\x9f"),
                frame(0, b"\x98"),
                frame(FIN, b"\x80z"),
            ]
            .concat(),
            Ok(vec![text("\u{1f600}z")]),
        ),
    ];
    for invalid in INVALID_UTF8 {
        cases.push(("8.1", frame(0x81, invalid), Err(DecodeError::InvalidUtf8)));
        cases.push(("8.1", frame(1, invalid), Err(DecodeError::InvalidUtf8)));
        cases.push(("8.1", frame(0x82, invalid), Ok(vec![binary(invalid)])));
    }
    check(|| plain_decoder(LIMIT), cases);
}

/// Autobahn's section 6.4: an invalid sequence fails at its first invalid byte, not at the end of the frame or message.
#[test]
fn invalid_utf8_fails_at_once() {
    let valid = "κόσμε".as_bytes();
    let invalid_at = valid.len() + 2;
    let payload = [valid, b"\xf4\x90\x80\x80", b"edited"].concat();
    for first in [0x81, 0x01] {
        let bytes = frame(first, &payload);
        let header = bytes.len() - payload.len();
        let mut decoder = plain_decoder(LIMIT);
        let mut buffer = BytesMut::new();
        for (index, byte) in bytes.iter().enumerate() {
            buffer.extend_from_slice(&[*byte]);
            let decoded = decoder.decode(&mut buffer);
            if index + 1 == header + invalid_at {
                assert_eq!(decoded, Err(DecodeError::InvalidUtf8));
                break;
            }
            assert_eq!(decoded, Ok(None), "byte {index}");
        }
    }
}

#[test]
fn a_message_has_at_most_the_limit() {
    let too_big = Err(DecodeError::TooBig { limit: 10 });
    let cases = vec![
        ("in one frame", frame(0x82, &[1; 10]), Ok(vec![binary(&[1; 10])])),
        (
            "in fragments",
            [frame(2, &[1; 5]), frame(FIN, &[1; 5])].concat(),
            Ok(vec![binary(&[1; 10])]),
        ),
        (
            "a header is enough",
            frame(0x82, &[1; 11])[..6].to_vec(),
            too_big.clone(),
        ),
        (
            "the header of a fragment",
            frame(2, &[1; 11])[..6].to_vec(),
            too_big.clone(),
        ),
        (
            "the header of the last fragment",
            [&frame(2, &[1; 6])[..], &frame(FIN, &[1; 5])[..6]].concat(),
            too_big.clone(),
        ),
        (
            "the largest length",
            vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            too_big.clone(),
        ),
        (
            "the largest length of a second fragment",
            [
                &frame(2, b"x")[..],
                &[0, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            ]
            .concat(),
            too_big,
        ),
        (
            "control frames have their own limit",
            frame(0x89, &[1; 125]),
            Ok(vec![ping(&[1; 125])]),
        ),
    ];
    check(|| plain_decoder(10), cases);
}

/// The payload of the text "Hello" (RFC 7692 section 7.2.3.1).
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn compressed_frames_follow_rfc_7692_section_6() {
    let (start, end) = HELLO.split_at(3);
    let start = &frame(0x41, start);
    let both = [&start[..], &frame(0x80, end)].concat();
    let between = [&start[..], &frame(0x89, b"p"), &frame(0, b""), &frame(0x80, end)].concat();
    let again = [&start[..], &frame(0xc0, end)].concat();
    let late = [frame(1, b"a"), frame(0xc0, b"b")].concat();
    let reserved = Err(DecodeError::ReservedBits);
    let cases = vec![
        ("6.2 a message", frame(0xc1, &HELLO), Ok(vec![text("Hello")])),
        ("6.2 fragments", both, Ok(vec![text("Hello")])),
        (
            "6.2 control frames between them",
            between,
            Ok(vec![ping(b"p"), text("Hello")]),
        ),
        (
            "6 an uncompressed message",
            frame(0x81, b"Hello"),
            Ok(vec![text("Hello")]),
        ),
        ("6.1 RSV1 on a continuation", again, reserved.clone()),
        ("6.1 RSV1 within an uncompressed message", late, reserved.clone()),
        ("6.1 RSV1 on a ping", frame(0xc9, b""), reserved.clone()),
        ("6.1 RSV1 on a close frame", frame(0xc8, b""), reserved.clone()),
        ("RFC 6455 5.2 RSV2", frame(0xa1, b""), reserved),
    ];
    check(|| deflate_decoder(LIMIT), cases);
}

#[test]
fn compressed_payloads_follow_rfc_7692_section_7_2() {
    let hello = Ok(vec![text("Hello")]);
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o', 0x00];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two_blocks = [
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    let invalid_utf8 = [0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00];
    let with_context = [frame(0xc1, &HELLO), frame(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00])].concat();
    let invalid = Err(DecodeError::InvalidDeflate);
    let cases = vec![
        ("7.2.3.2 no context is taken over", with_context, invalid.clone()),
        (
            "7.2.3.3 a block without compression",
            frame(0xc1, &stored),
            hello.clone(),
        ),
        ("7.2.3.4 a last block", frame(0xc1, &last), hello.clone()),
        (
            "7.2.3.4 without the empty block after it",
            frame(0xc1, &last[..7]),
            hello.clone(),
        ),
        ("7.2.3.5 two blocks", frame(0xc1, &two_blocks), hello),
        ("7.2.3.6 an empty message", frame(0xc2, &[0x00]), Ok(vec![binary(b"")])),
        (
            "an empty payload, as some clients send it",
            frame(0xc2, b""),
            Ok(vec![binary(b"")]),
        ),
        ("a truncated block", frame(0xc1, &HELLO[..4]), invalid.clone()),
        ("a reserved type of block", frame(0xc1, &[0x06]), invalid),
        (
            "RFC 6455 8.1",
            frame(0xc1, &invalid_utf8),
            Err(DecodeError::InvalidUtf8),
        ),
    ];
    check(|| deflate_decoder(LIMIT), cases);
}

#[test]
fn an_error_names_its_close_code() {
    let cases = [
        (DecodeError::ReservedBits, 1002, "a reserved bit is set"),
        (DecodeError::ReservedOpcode(3), 1002, "opcode 3 is reserved"),
        (
            DecodeError::InvalidCloseCode(1005),
            1002,
            "close code 1005 must not be sent",
        ),
        (DecodeError::InvalidUtf8, 1007, "text must be valid UTF-8"),
        (
            DecodeError::InvalidDeflate,
            1007,
            "a compressed message must be valid DEFLATE data",
        ),
        (DecodeError::TooBig { limit: 7 }, 1009, "a message may have 7 bytes"),
    ];
    for (error, code, reason) in cases {
        assert_eq!((error.code(), error.to_string().as_str()), (code, reason));
    }
}

/// An idle connection pays for its decoder.
#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 24, "{}", size_of::<Decoder>());
    let mut decoder = plain_decoder(LIMIT);
    let (messages, error) = decode(&mut decoder, &[frame(1, b"ab"), frame(FIN, b"cd")].concat());
    assert_eq!((messages, error), (vec![text("abcd")], None));
    assert!(decoder.is_between_messages());
    assert_eq!(decoder.partial_len(), 0);
}

/// A header that announces the largest message allocates nothing for it.
#[test]
fn memory_grows_with_the_bytes_that_arrive() {
    let limit = 1 << 20;
    let mut decoder = plain_decoder(limit);
    let bytes = frame(0x82, &vec![1; limit]);
    let mut buffer = BytesMut::from(&bytes[..1000]);
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    assert!(decoder.partial_len() < 5000, "{}", decoder.partial_len());
    assert!(!decoder.is_between_messages());
}

/// A large message is not copied; a small one leaves the buffer to the connection.
#[test]
fn only_large_messages_are_taken_out_of_the_buffer() {
    for (size, taken) in [(125, false), (1023, false), (1024, true), (4096, true)] {
        let mut buffer = BytesMut::from(&frame(0x82, &vec![1; size])[..]);
        let (start, end) = (buffer.as_ptr() as usize, buffer.as_ptr() as usize + buffer.len());
        let Ok(Some(Incoming::Binary(payload))) = plain_decoder(LIMIT).decode(&mut buffer) else {
            panic!("no message");
        };
        assert_eq!((start..end).contains(&(payload.as_ptr() as usize)), taken, "{size}");
    }
}
