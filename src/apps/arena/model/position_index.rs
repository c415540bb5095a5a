//! An index of positions: finds those in a part of the world without testing all of them. Pure.

use std::iter::from_fn;

use super::body::WORLD_SIZE;

/// Each axis is divided into strips of this width.
const STRIP: i32 = 1024;

/// Positions, each with an index of its own.
#[derive(Debug, Clone)]
pub struct PositionIndex {
    columns: Axis,
    rows: Axis,
}

/// For each strip along one axis, the bit set of the indices of the positions in it.
#[derive(Debug, Clone)]
struct Axis {
    /// The length of a bit set.
    words: usize,
    /// All bit sets.
    strips: Vec<u64>,
}

impl PositionIndex {
    /// `positions` have distinct indices below `count`.
    pub fn new(count: usize, positions: impl Iterator<Item = (usize, (u16, u16))> + Clone) -> Self {
        Self {
            columns: Axis::new(count, positions.clone().map(|(index, (x, _))| (index, x))),
            rows: Axis::new(count, positions.map(|(index, (_, y))| (index, y))),
        }
    }

    /// Ascending indices of all positions within `distance` on each axis, and of some that are up to one strip farther.
    pub fn near(&self, (x, y): (i32, i32), distance: i32) -> impl Iterator<Item = usize> {
        let columns = self.columns.near(x, distance);
        let rows = self.rows.near(y, distance);
        let words = columns.into_iter().zip(rows).map(|(column, row)| column & row);
        words.enumerate().flat_map(|(word, bits)| indices(word, bits))
    }
}

impl Axis {
    fn new(count: usize, coordinates: impl Iterator<Item = (usize, u16)>) -> Self {
        let words = count.div_ceil(64).max(1);
        let mut strips = vec![0; (strip(WORLD_SIZE) + 1) * words];
        for (index, coordinate) in coordinates {
            if let Some(word) = strips.get_mut(strip(coordinate.into()) * words + index / 64) {
                *word |= 1 << (index % 64);
            }
        }
        Self { words, strips }
    }

    fn near(&self, coordinate: i32, distance: i32) -> Vec<u64> {
        let (first, last) = (strip(coordinate - distance), strip(coordinate + distance));
        let mut near = vec![0; self.words];
        for indices in self.strips.chunks_exact(self.words).take(last + 1).skip(first) {
            near.iter_mut().zip(indices).for_each(|(near, word)| *near |= word);
        }
        near
    }
}

const fn strip(coordinate: i32) -> usize {
    if coordinate < 0 {
        return 0;
    }
    let last = (WORLD_SIZE - 1) / STRIP;
    let strip = coordinate / STRIP;
    (if strip < last { strip } else { last }) as usize
}

/// The indices of a bit set's word.
fn indices(word: usize, mut bits: u64) -> impl Iterator<Item = usize> {
    from_fn(move || {
        let bit = bits.trailing_zeros() as usize;
        bits &= bits.checked_sub(1)?;
        Some(word * 64 + bit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_near_position_is_missing_and_none_is_far(
            positions in prop::collection::vec(any::<(u16, u16)>(), 0..300),
            x in -2000..WORLD_SIZE + 2000,
            y in -2000..WORLD_SIZE + 2000,
            distance in 0..WORLD_SIZE,
        ) {
            let index = PositionIndex::new(positions.len(), positions.iter().copied().enumerate());
            let found: Vec<_> = index.near((x, y), distance).collect();
            prop_assert!(found.is_sorted());
            for (at, position) in positions.iter().enumerate() {
                let away = (i32::from(position.0) - x).abs().max((i32::from(position.1) - y).abs());
                prop_assert!(away > distance || found.contains(&at));
                prop_assert!(away <= distance + STRIP + 2000 || !found.contains(&at));
            }
        }
    }
}
