//! A seeded pseudo-random generator (splitmix64), identical on every machine. Not cryptographically secure.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random(pub u64);

impl Random {
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number less than `end`, which must be at least 1.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u32
    }

    /// A number from `min` to `max`, inclusive.
    pub fn between(&mut self, min: i32, max: i32) -> i32 {
        let range = max.saturating_sub(min).max(0) as u32;
        min.saturating_add(self.below(range.saturating_add(1)) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_range_and_cover_it() {
        let mut random = Random(7);
        let mut seen = [0; 10];
        for _ in 0..1000 {
            seen[random.below(10) as usize] += 1;
            assert!((-3..=3).contains(&random.between(-3, 3)));
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }
}
