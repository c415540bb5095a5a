//! Sizes and headers of WebSocket frames on the wire (RFC 6455 section 5.2).

/// Maximum payload of a control frame (close, ping, pong), in bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The size of a frame's header, in bytes. Clients mask their frames, servers do not (RFC 6455 section 5.1).
pub const fn header_len(payload: u64, masked: bool) -> u64 {
    let length = match payload {
        0..=125 => 0,
        126..=65_535 => 2,
        _ => 8,
    };
    let mask = if masked { 4 } else { 0 };
    2 + length + mask
}

/// The size of a message that is sent as one uncompressed frame, header and payload, in bytes.
pub const fn wire_len(payload: u64, masked: bool) -> u64 {
    header_len(payload, masked) + payload
}

/// Opcode of a text frame (RFC 6455 section 11.8).
pub const TEXT: u8 = 1;
/// Opcode of a binary frame (RFC 6455 section 11.8).
pub const BINARY: u8 = 2;

/// Bit of the first byte: this is the message's last frame (RFC 6455 section 5.2).
pub const FIN: u8 = 0x80;
/// Bit of the second byte: a masking key of four bytes follows the length (RFC 6455 section 5.2).
pub const MASK: u8 = 0x80;

/// The header of a message that is sent as one uncompressed frame. The masking key is not included: only the sender knows it.
pub fn header(opcode: u8, payload: u64, masked: bool) -> Vec<u8> {
    let mask = if masked { MASK } else { 0 };
    let mut bytes = vec![FIN | opcode];
    match (u8::try_from(payload), u16::try_from(payload)) {
        (Ok(short @ 0..=125), _) => bytes.push(mask | short),
        (_, Ok(medium)) => {
            bytes.push(mask | 126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend(payload.to_be_bytes());
        }
    }
    bytes
}

/// The size of a close frame, in bytes; without a code the frame has no payload and therefore no reason.
pub const fn close_wire_len(code: Option<u16>, reason: &str, masked: bool) -> u64 {
    let payload = if code.is_some() { 2 + reason.len() as u64 } else { 0 };
    wire_len(payload, masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_grows_with_its_length_field() {
        assert_eq!(header_len(0, false), 2);
        assert_eq!(header_len(125, false), 2);
        assert_eq!(header_len(126, false), 4);
        assert_eq!(header_len(65_535, false), 4);
        assert_eq!(header_len(65_536, false), 10);
        assert_eq!(header_len(125, true), 6);
        assert_eq!(header_len(65_536, true), 14);
    }

    #[test]
    fn a_header_is_encoded_as_rfc_6455_defines() {
        assert_eq!(header(TEXT, 5, false), [0x81, 5]);
        assert_eq!(header(BINARY, 5, true), [0x82, 0x85]);
        assert_eq!(header(BINARY, 256, false), [0x82, 126, 1, 0]);
        assert_eq!(header(TEXT, 65_536, true), [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]);
        for payload in [0, 125, 126, 255, 65_535, 65_536, u64::MAX] {
            assert_eq!(header(TEXT, payload, false).len() as u64, header_len(payload, false));
            assert_eq!(header(TEXT, payload, true).len() as u64 + 4, header_len(payload, true));
        }
    }

    #[test]
    fn a_close_frame_without_a_code_is_empty() {
        assert_eq!(close_wire_len(None, "", true), 6);
        assert_eq!(close_wire_len(Some(1000), "bye", false), 7);
    }
}
