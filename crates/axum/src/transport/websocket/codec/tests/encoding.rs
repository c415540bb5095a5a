//! The server's frames, and `Text`.

use std::collections::HashSet;

use super::*;
use crate::transport::websocket::codec::encoder::encode_header;

#[test]
fn frames_are_encoded_as_rfc_6455_section_5_7_shows() {
    let header = |opcode, compressed, len| {
        let mut header = Vec::new();
        encode_header(&mut header, opcode, compressed, len);
        header
    };
    assert_eq!(header(Opcode::Text, false, 5), [0x81, 5]);
    assert_eq!(header(Opcode::Pong, false, 5), [0x8a, 5]);
    assert_eq!(header(Opcode::Binary, false, 256), [0x82, 0x7e, 1, 0]);
    assert_eq!(
        header(Opcode::Binary, false, 65_536),
        [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
    );
    assert_eq!(header(Opcode::Text, true, 2), [0xc1, 2]);
    let mut header = Vec::new();
    encode_header(&mut header, Opcode::Text, false, 126);
    encode_header(&mut header, Opcode::Text, true, 125);
    assert_eq!(header, [0x81, 126, 0, 126, 0xc1, 125]);
}

#[test]
fn a_close_frame_has_at_most_125_bytes() {
    assert_eq!(close_frame(1000, "bye"), &b"\x88\x05\x03\xe8bye"[..]);
    assert_eq!(close_frame(1005, "ignored"), &b"\x88\x00"[..]);
    let long = "가".repeat(42);
    let close = close_frame(1001, &long);
    assert_eq!((close.len(), close[1]), (2 + 2 + 123, 125));
    assert_eq!(str::from_utf8(&close[4..]).unwrap(), "가".repeat(41));
    let close = close_frame(1001, &format!("xy{long}"));
    assert_eq!(close[1], 2 + 2 + 120, "no character is cut in two");
}

#[test]
fn text_is_valid_utf8() {
    let bytes = Bytes::from_static("안녕".as_bytes());
    let text = Text::try_from(bytes.clone()).unwrap();
    assert_eq!(text, "안녕");
    assert_eq!(text, *"안녕");
    assert_eq!(text, "안녕".to_owned());
    assert_eq!(
        (text.to_string(), format!("{text:?}")),
        ("안녕".to_owned(), "\"안녕\"".to_owned())
    );
    assert_eq!((text.as_str(), text.len()), ("안녕", 6));
    let copies = [
        Text::from("안녕"),
        Text::from("안녕".to_owned()),
        Text::from_static("안녕"),
        text.clone(),
    ];
    assert_eq!(copies.into_iter().collect::<HashSet<_>>().len(), 1);
    assert_eq!(AsRef::<[u8]>::as_ref(&text), &bytes[..]);
    assert_eq!(Bytes::from(text).as_ptr(), bytes.as_ptr(), "the bytes are shared");
    assert!(Text::try_from(Bytes::from_static(b"\xec\x95")).is_err());
}
