//! Masking of payloads (RFC 6455 section 5.3).

/// Masks or unmasks a payload in place, 8 bytes at a time.
pub(super) fn apply_mask(payload: &mut [u8], [a, b, c, d]: [u8; 4]) {
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_masked_byte_by_byte() {
        let mask = [1, 20, 111, 240];
        for length in 0..40_u8 {
            let plain: Vec<u8> = (0..length).collect();
            let mut masked = plain.clone();
            apply_mask(&mut masked, mask);
            let expected: Vec<u8> = plain
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask)
                .collect();
            assert_eq!(masked, expected);
        }
    }
}
