//! Formatting of recorded frames: name, payload as JSON, size on the wire, WebSocket header bytes.

use crate::ui::payload_format::indent_json;
use duplex_leptos::trace::Inspection;
use duplex_leptos::trace::{Carrier, Payload, RecordedFrame};
use duplex_protocol::codec::Encoding;
use duplex_protocol::frame::{self, wire_len};
use duplex_protocol::session::{ClientFrame, ServerFrame, Verdict};

/// `data: ` before a one-line event, and two line breaks after it.
const SSE_OVERHEAD: u64 = 8;

/// The size of a frame including its framing: a WebSocket header, or the lines of a server-sent event. For HTTP the text alone.
pub fn wire_size(frame: &RecordedFrame) -> u64 {
    let size = frame.size as u64;
    match (frame.carrier, frame.sent) {
        (Carrier::Socket, sent) => wire_len(size, sent),
        (Carrier::Event, false) => size + SSE_OVERHEAD,
        (Carrier::Event, true) | (Carrier::Poll | Carrier::Post, _) => size,
    }
}

/// The frame's name in the list.
pub fn name(inspection: &Inspection, frame: &RecordedFrame) -> String {
    decode(inspection, frame).0
}

/// The payload as indented JSON; empty if it was too large to record, in which case [`name`] is an ellipsis.
pub fn json(inspection: &Inspection, frame: &RecordedFrame) -> String {
    indent_json(&decode(inspection, frame).1)
}

/// The frame's name, and its payload as JSON.
fn decode(inspection: &Inspection, frame: &RecordedFrame) -> (String, String) {
    let Some(content) = &frame.content else {
        return ("…".to_owned(), String::new());
    };
    let (encoding, bytes) = match content {
        Payload::Text(text) => (Encoding::Json, text.as_bytes()),
        Payload::Binary(bytes) => (Encoding::Postcard, bytes.as_slice()),
    };
    let decoded = match (frame.sent, frame.carrier) {
        (true, Carrier::Event | Carrier::Poll) => Some(("GET".to_owned(), Vec::new())),
        (true, _) => decode_client_frame(inspection, encoding, bytes),
        (false, Carrier::Poll) => Some((poll_name(bytes), Vec::new())),
        (false, _) => decode_server_frame(inspection, encoding, bytes),
    };
    match (decoded, content) {
        (Some((name, _)), Payload::Text(text)) => (name, as_json(frame, text)),
        (Some((name, json)), Payload::Binary(_)) => (name, String::from_utf8(json).unwrap_or_default()),
        (None, Payload::Text(text)) => (String::new(), as_json(frame, text)),
        (None, Payload::Binary(_)) => ("?".to_owned(), String::new()),
    }
}

/// The content of a text frame as JSON; the URL of a GET request becomes a JSON string.
fn as_json(frame: &RecordedFrame, text: &str) -> String {
    match (frame.sent, frame.carrier) {
        (true, Carrier::Event | Carrier::Poll) => ["\"", text, "\""].concat(),
        _ => text.to_owned(),
    }
}

fn decode_client_frame(inspection: &Inspection, encoding: Encoding, bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut frame: ClientFrame = encoding.decode(bytes).ok()?;
    let name = client_name(&frame);
    if encoding == Encoding::Json {
        return Some((name, Vec::new()));
    }
    inspection.decode_sent(&mut frame, encoding);
    Some((name, Encoding::Json.encode(&frame).ok()?))
}

fn decode_server_frame(inspection: &Inspection, encoding: Encoding, bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut frame: ServerFrame = encoding.decode(bytes).ok()?;
    let name = server_name(&frame);
    if encoding == Encoding::Json {
        return Some((name, Vec::new()));
    }
    inspection.decode_received(&mut frame, encoding);
    Some((name, Encoding::Json.encode(&frame).ok()?))
}

/// The names of the frames in a poll's response.
fn poll_name(bytes: &[u8]) -> String {
    let frames: Vec<ServerFrame> = Encoding::Json.decode(bytes).unwrap_or_default();
    let names: Vec<_> = frames.iter().map(server_name).collect();
    match names.as_slice() {
        [] => "[]".to_owned(),
        names => names.join(", "),
    }
}

fn client_name(frame: &ClientFrame) -> String {
    match frame {
        ClientFrame::Hello { .. } => "hello".to_owned(),
        ClientFrame::Subscribe { topic, .. } => ["subscribe ", topic.as_str()].concat(),
        ClientFrame::Unsubscribe { topic } => ["unsubscribe ", topic.as_str()].concat(),
        ClientFrame::Command { topic, .. } => ["command ", topic.as_str()].concat(),
        ClientFrame::Activity { topic, .. } => ["activity ", topic.as_str()].concat(),
        ClientFrame::Rename { .. } => "rename".to_owned(),
        ClientFrame::Ping { .. } => "ping".to_owned(),
    }
}

fn server_name(frame: &ServerFrame) -> String {
    match frame {
        ServerFrame::Welcome(_) => "welcome".to_owned(),
        ServerFrame::Verdict { topic, verdict } => {
            let verdict = match verdict {
                Verdict::Resumed { .. } => "resumed ",
                Verdict::Reset { .. } => "reset ",
                Verdict::Denied { .. } => "denied ",
            };
            [verdict, topic.as_str()].concat()
        }
        ServerFrame::Event { topic, seq, .. } => ["event ", topic.as_str(), " #", &seq.to_string()].concat(),
        ServerFrame::Reply { .. } => "reply".to_owned(),
        ServerFrame::Presence { topic, .. } => ["presence ", topic.as_str()].concat(),
        ServerFrame::Pong { .. } => "pong".to_owned(),
        ServerFrame::Closing { .. } => "closing".to_owned(),
        ServerFrame::NameRejected { .. } => "name refused".to_owned(),
    }
}

/// A part of a WebSocket frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPart {
    FinOpcode,
    MaskLength,
    Length,
    /// The masking key: four random bytes that the browser does not expose.
    MaskingKey,
}

/// The header's parts with their bytes in binary or hexadecimal; empty unless a WebSocket carried the frame.
pub fn header(frame: &RecordedFrame) -> Vec<(HeaderPart, String)> {
    let opcode = match (&frame.content, frame.carrier) {
        (_, Carrier::Event | Carrier::Poll | Carrier::Post) | (None, _) => return Vec::new(),
        (Some(Payload::Text(_)), _) => frame::TEXT,
        (Some(Payload::Binary(_)), _) => frame::BINARY,
    };
    let bytes = frame::header(opcode, frame.size as u64, frame.sent);
    let bits = |byte: Option<&u8>| byte.map_or_else(String::new, |byte| format!("{byte:08b}"));
    let mut parts = vec![
        (HeaderPart::FinOpcode, bits(bytes.first())),
        (HeaderPart::MaskLength, bits(bytes.get(1))),
    ];
    if let Some(length @ [_, ..]) = bytes.get(2..) {
        let digits: Vec<_> = length.iter().map(|byte| format!("{byte:02x}")).collect();
        parts.push((HeaderPart::Length, digits.join(" ")));
    }
    if frame.sent {
        parts.push((HeaderPart::MaskingKey, "?? ?? ?? ??".to_owned()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(carrier: Carrier, sent: bool, content: Payload) -> RecordedFrame {
        RecordedFrame {
            number: 1,
            at: 0.0,
            connection: 1,
            sent,
            carrier,
            size: content.len(),
            content: Some(content),
        }
    }

    #[test]
    fn the_wire_size_includes_the_framing() {
        let size = |carrier, sent| wire_size(&frame(carrier, sent, Payload::Text("x".repeat(126))));
        assert_eq!(size(Carrier::Socket, true), 126 + 8);
        assert_eq!(size(Carrier::Socket, false), 126 + 4);
        assert_eq!(size(Carrier::Event, false), "data: \n\n".len() as u64 + 126);
        assert_eq!(size(Carrier::Post, true), 126);
    }

    #[test]
    fn a_header_is_listed_bit_by_bit_without_the_masking_key() {
        let shown = header(&frame(Carrier::Socket, true, Payload::Binary(vec![0; 300])));
        assert_eq!(
            shown,
            [
                (HeaderPart::FinOpcode, "10000010".to_owned()),
                (HeaderPart::MaskLength, "11111110".to_owned()),
                (HeaderPart::Length, "01 2c".to_owned()),
                (HeaderPart::MaskingKey, "?? ?? ?? ??".to_owned())
            ]
        );
        assert_eq!(
            header(&frame(Carrier::Socket, false, Payload::Text("a".into()))).len(),
            2
        );
        assert!(header(&frame(Carrier::Poll, false, Payload::Text("[]".into()))).is_empty());
    }

    #[test]
    fn a_poll_is_named_after_its_frames() {
        let text = r#"[{"pong":{"nonce":1}},{"event":{"topic":"chat/a","seq":7,"event":{}}}]"#;
        assert_eq!(poll_name(text.as_bytes()), "pong, event chat/a #7");
        assert_eq!(poll_name(b"[]"), "[]");
    }
}
