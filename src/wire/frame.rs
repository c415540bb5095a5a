//! What a WebSocket frame costs on the wire (RFC 6455 section 5.2).

/// A control frame (close, ping, pong) carries at most this many bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// Bytes of a frame's header. Clients mask their frames, servers do not (RFC 6455 section 5.1).
pub const fn header_len(payload: u64, masked: bool) -> u64 {
    let length = match payload {
        0..=125 => 0,
        126..=65_535 => 2,
        _ => 8,
    };
    let mask = if masked { 4 } else { 0 };
    2 + length + mask
}

/// Bytes of a message sent as one uncompressed frame, header and payload.
pub const fn wire_len(payload: u64, masked: bool) -> u64 {
    header_len(payload, masked) + payload
}

/// Bytes of a close frame with this reason; without a code the frame has no payload and so no reason.
pub const fn close_wire_len(code: Option<u16>, reason: &str, masked: bool) -> u64 {
    let payload = if code.is_some() { 2 + reason.len() as u64 } else { 0 };
    wire_len(payload, masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_grow_where_the_length_field_does() {
        assert_eq!(header_len(0, false), 2);
        assert_eq!(header_len(125, false), 2);
        assert_eq!(header_len(126, false), 4);
        assert_eq!(header_len(65_535, false), 4);
        assert_eq!(header_len(65_536, false), 10);
        assert_eq!(header_len(125, true), 6);
        assert_eq!(header_len(65_536, true), 14);
    }

    #[test]
    fn a_close_frame_without_a_code_is_empty() {
        assert_eq!(close_wire_len(None, "", true), 6);
        assert_eq!(close_wire_len(Some(1000), "bye", false), 7);
    }
}
