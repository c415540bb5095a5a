//! Numbers that look random and follow from a seed: splitmix64, the same on every machine. Not for secrets.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, which is at least 1.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u128::from(self.draw()) * u128::from(end)) >> 64) as u32
    }

    /// From `least` to `most`.
    pub fn between(&mut self, least: i32, most: i32) -> i32 {
        let range = most.saturating_sub(least).max(0) as u32;
        least.saturating_add(self.below(range.saturating_add(1)) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_and_fills_the_range() {
        let mut random = Random(7);
        let mut seen = [0; 10];
        for _ in 0..1000 {
            seen[random.below(10) as usize] += 1;
            assert!((-3..=3).contains(&random.between(-3, 3)));
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }
}
