//! Compression of messages (RFC 7692 section 7.2). The states of the compressor and the decompressor belong to the thread, not to a
//! connection.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::error::DecodeError;

/// The end of the empty block with which a sync flush ends. It is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// [`TAIL`], and a last block, which is empty: the decompressor reaches its end only if the message ended with a block.
const END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// Bits of the largest window.
const MAX_WINDOW_BITS: u8 = 15;
/// Bits of the smallest window that the compressor supports.
const MIN_WINDOW_BITS: u8 = 9;
/// Idle states that a thread keeps, of each kind.
const POOL: usize = 2;
/// Bytes that are inflated at a time.
const CHUNK: usize = 4096;
/// Bytes that an inflater allocates: mainly its window of 32 KiB.
pub(super) const INFLATER_BYTES: usize = 48 << 10;

thread_local! {
    static COMPRESSORS: RefCell<Vec<Compressor>> = const { RefCell::new(Vec::new()) };
    static INFLATERS: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

struct Compressor {
    level: Compression,
    window_bits: u8,
    state: Compress,
}

/// Compresses a message for a client that agreed to this window. `None` if the compressed payload would not be smaller, or if the
/// payload exceeds a window of 256 bytes (8 bits), which the compressor does not support.
///
/// References within a payload that fits into the window cannot exceed it. So the result is the same for all windows that are at least
/// as large as the payload.
pub(crate) fn deflate(payload: &[u8], window_bits: u8, level: Compression) -> Option<Bytes> {
    let fits = 1_usize
        .checked_shl(window_bits.into())
        .is_none_or(|window| payload.len() <= window);
    let window_bits = if fits { MAX_WINDOW_BITS } else { window_bits };
    if !(MIN_WINDOW_BITS..=MAX_WINDOW_BITS).contains(&window_bits) {
        return None;
    }
    compress(take_compressor(window_bits, level), payload)
}

/// Compresses a message for a client with the largest window, which ends with `context`. `None` if the result would not be smaller.
pub(crate) fn deflate_after(context: &[u8], payload: &[u8], level: Compression) -> Option<Bytes> {
    let mut compressor = take_compressor(MAX_WINDOW_BITS, level);
    compressor.state.set_dictionary(context).ok()?;
    compress(compressor, payload)
}

fn compress(mut compressor: Compressor, payload: &[u8]) -> Option<Bytes> {
    let mut deflated = Vec::with_capacity(payload.len() + TAIL.len());
    let result = compressor
        .state
        .compress_vec(payload, &mut deflated, FlushCompress::Sync);
    result.ok()?;
    // The flush may be incomplete if the output is full. Such a state is dropped: a reset does not clear its pending output.
    if deflated.len() >= payload.len() + TAIL.len() {
        return None;
    }
    compressor.state.reset();
    COMPRESSORS.with_borrow_mut(|pool| put_back(pool, compressor));
    let length = deflated.strip_suffix(&TAIL)?.len();
    deflated.truncate(length);
    deflated.shrink_to_fit();
    Some(deflated.into())
}

fn take_compressor(window_bits: u8, level: Compression) -> Compressor {
    let pooled = COMPRESSORS.with_borrow_mut(|pool| {
        let fits = |idle: &Compressor| idle.window_bits == window_bits && idle.level == level;
        pool.iter().position(fits).map(|index| pool.swap_remove(index))
    });
    pooled.unwrap_or_else(|| Compressor {
        level,
        window_bits,
        state: Compress::new_with_window_bits(level, false, window_bits),
    })
}

/// Returns a state to the thread's pool, whose oldest is dropped if it is full.
fn put_back<S>(pool: &mut Vec<S>, state: S) {
    if pool.len() >= POOL {
        pool.remove(0);
    }
    pool.push(state);
}

/// Inflates one message.
#[derive(Debug)]
pub(super) struct Inflater {
    state: Decompress,
    /// The last block of a DEFLATE stream was read. Another stream may follow (RFC 7692 section 7.2.3.4).
    is_at_end: bool,
}

impl Inflater {
    pub(super) fn new() -> Self {
        let pooled = INFLATERS.with_borrow_mut(Vec::pop);
        Self {
            state: pooled.unwrap_or_else(|| Decompress::new(false)),
            is_at_end: false,
        }
    }

    /// Inflates the next part of the message, and hands the result to `output` in pieces.
    pub(super) fn inflate(
        &mut self,
        mut input: &[u8],
        mut output: impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut chunk = [0; CHUNK];
        loop {
            if input.is_empty() && self.is_at_end {
                return Ok(());
            }
            if std::mem::take(&mut self.is_at_end) {
                self.state.reset(false);
            }
            let (total_in, total_out) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(input, &mut chunk, FlushDecompress::None);
            let consumed = (self.state.total_in() - total_in) as usize;
            let produced = (self.state.total_out() - total_out) as usize;
            // Also the data before an error, so that the result does not depend on how the input is split.
            output(chunk.get(..produced).unwrap_or_default())?;
            input = input.get(consumed..).unwrap_or_default();
            match status.map_err(|_| DecodeError::InvalidDeflate)? {
                Status::StreamEnd => self.is_at_end = true,
                _ if input.is_empty() && produced < CHUNK => return Ok(()),
                _ if consumed == 0 && produced == 0 => return Err(DecodeError::InvalidDeflate),
                _ => {}
            }
        }
    }

    /// Inflates the rest of the message, which must end with a block. Some clients send an empty message as an empty payload.
    pub(super) fn finish(mut self, output: impl FnMut(&[u8]) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
        let is_open = !self.is_at_end && self.state.total_in() > 0;
        if is_open {
            self.inflate(&END, output)?;
        }
        if is_open && !self.is_at_end {
            return Err(DecodeError::InvalidDeflate);
        }
        self.state.reset(false);
        INFLATERS.with_borrow_mut(|pool| put_back(pool, self.state));
        Ok(())
    }
}
