//! The hash that compares two worlds: the same algorithm in the browser and on the server.

/// FNV-1a, 64 bits.
#[derive(Debug)]
pub struct Fnv(pub u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds the little-endian bytes of `parts`.
    pub fn add<const N: usize>(&mut self, parts: [u64; N]) {
        for byte in parts.iter().flat_map(|part| part.to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
