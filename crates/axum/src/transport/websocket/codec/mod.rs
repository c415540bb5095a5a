//! The server side of the WebSocket protocol (RFC 6455) with permessage-deflate (RFC 7692), without I/O: a strict decoder of the
//! client's frames, and encoders of the server's. The connection reads and writes the bytes.

mod decoder;
mod deflate;
mod encoder;
mod error;
mod extension;
mod header;
mod mask;
mod partial;
mod text;

pub(super) use self::decoder::{Decoder, DecoderConfig, Incoming};
pub(super) use self::deflate::{deflate, deflate_after};
pub(super) use self::encoder::{close_frame, encode_frame};
pub(super) use self::error::DecodeError;
pub(in crate::transport) use self::extension::{DeflateParams, negotiate};
pub(super) use self::header::Opcode;
pub use self::text::Text;

#[cfg(test)]
mod tests;
