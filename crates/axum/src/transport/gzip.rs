//! gzip (RFC 1952) of responses that contain shared frames. A frame is compressed once for all readers of all transports; a response
//! joins these forms, so that a reader costs no compression of its own. It is larger than one that was compressed as a whole.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use duplex_hub::topic::Frame;
use flate2::Crc;

use super::websocket::compressed_form;

/// The header: DEFLATE, no flags, no time, an unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The last block, which is empty.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];
/// The type of a stored block that is not the last, followed by the bits up to the next byte.
const STORED: u8 = 0;

/// A gzip member under construction.
pub(super) struct GzipWriter {
    crc: Crc,
    out: Vec<u8>,
}

impl GzipWriter {
    pub(super) fn new() -> Self {
        Self {
            crc: Crc::new(),
            out: HEADER.to_vec(),
        }
    }

    /// Appends a frame between other bytes. Only the frame is compressed, if its compressed form is smaller.
    pub(super) fn write(&mut self, before: &[u8], frame: &Frame, after: &[u8]) {
        let Some(compressed) = compressed_form(frame) else {
            return self.store(&[before, frame, after].concat());
        };
        self.store(before);
        self.crc.update(frame);
        self.out.extend_from_slice(compressed);
        // The compressed form ends with the type of a stored block.
        self.append_stored(after);
        self.crc.update(after);
    }

    /// Appends bytes without compression.
    pub(super) fn store(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        for part in bytes.chunks(u16::MAX.into()) {
            self.out.push(STORED);
            self.append_stored(part);
        }
    }

    /// Appends a stored block whose type was appended before.
    fn append_stored(&mut self, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(&(!length).to_le_bytes());
        self.out.extend_from_slice(bytes);
    }

    /// Appends an empty stored block, so that a reader outputs all that was appended before it: Go's, which Caddy uses, outputs at
    /// such a block only.
    pub(super) fn flush(&mut self) {
        self.out.push(STORED);
        self.append_stored(&[]);
    }

    /// Appends the member's end.
    pub(super) fn finish(&mut self) {
        self.out.extend_from_slice(&LAST_BLOCK);
        self.out.extend_from_slice(&self.crc.sum().to_le_bytes());
        self.out.extend_from_slice(&self.crc.amount().to_le_bytes());
    }

    /// Bytes that were appended and not taken.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes what was appended.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }
}

/// Whether `Accept-Encoding` lists gzip (RFC 9110 section 12.5.3). A wildcard does not count.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let mut items = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    items.any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let not_acceptable = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0);
        parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip")) && !parts.any(not_acceptable)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::http::HeaderValue;
    use flate2::read::GzDecoder;

    use super::*;

    fn inflated(gzip: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzDecoder::new(gzip).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn frames_of_every_size_are_joined() {
        let mut writer = GzipWriter::new();
        let mut expected = Vec::new();
        for size in [0, 1, 127, 128, 5000, 70_000, 600_000] {
            let frame = Frame::from(br#"{"event":1}"#.repeat(size).split_off(10 * size));
            writer.write(b"data: ", &frame, b"\n\n");
            expected.extend([b"data: ", &*frame, b"\n\n"].concat());
        }
        let incompressible: Vec<u8> = (0..200_u32)
            .flat_map(|n| (n.wrapping_mul(0x9e37_79b9)).to_le_bytes())
            .collect();
        writer.write(b"", &Frame::from(incompressible.clone()), b"");
        expected.extend(incompressible);
        writer.finish();
        assert!(writer.len() < expected.len());
        assert_eq!(inflated(&writer.take()), expected);
    }

    #[test]
    fn what_was_written_can_be_read_before_the_end() {
        let mut writer = GzipWriter::new();
        let frame = Frame::from(b"the same words again and again; ".repeat(20));
        writer.write(b"data: ", &frame, b"\n\n");
        let part = writer.take();
        assert!(part.len() < 100);
        let mut decoder = GzDecoder::new(&part[..]);
        let mut out = vec![0; frame.len() + 8];
        decoder.read_exact(&mut out).unwrap();
        assert_eq!(out, [b"data: ", &*frame, b"\n\n"].concat());
    }

    #[test]
    fn a_frame_is_compressed_once() {
        let frame = Frame::from(b"again and again and ".repeat(20));
        GzipWriter::new().write(b"", &frame, b"");
        let shared = frame.compressed(|_| panic!("it is not compressed")).unwrap().clone();
        let mut writer = GzipWriter::new();
        writer.write(b"", &frame.clone(), b"");
        assert!(writer.take().windows(shared.len()).any(|part| part == shared));
    }

    #[test]
    fn only_a_listed_gzip_is_accepted() {
        let accepted = |list: &'static str| {
            is_accepted(&HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(list),
            )]))
        };
        assert!(accepted("br, GZIP;q=0.5") && accepted("gzip"));
        for list in ["br", "identity", "", "*", "gzip; q=0"] {
            assert!(!accepted(list), "{list:?}");
        }
    }
}
