//! The best scores: of each person the best one, of all the best twenty. Trusts no event.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::apps::arena::wire::scores::{Score, Scores};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

pub const MAX_BEST: usize = 20;

/// The best first; of equal ones the older.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Best {
    pub scores: Vec<Score>,
}

impl Best {
    /// Would it be on the list, above what the same person has there?
    pub fn has_room_for(&self, score: &Score) -> bool {
        let own = self.scores.iter().find(|known| known.by.id == score.by.id);
        match (own, self.scores.last()) {
            (Some(own), _) => own.mass < score.mass,
            (None, Some(last)) => self.scores.len() < MAX_BEST || last.mass < score.mass,
            (None, None) => true,
        }
    }
}

impl Topic for Scores {
    const KIND: &'static str = "scores";

    type Command = NoCommand;
    type Event = Score;
    type State = Best;

    fn apply(best: &mut Best, _seq: Seq, score: &Score) {
        if best.has_room_for(score) {
            best.scores.retain(|known| known.by.id != score.by.id);
            best.scores.push(score.clone());
            best.scores.sort_by_key(|score| (Reverse(score.mass), score.at));
            best.scores.truncate(MAX_BEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use duplex_protocol::person::{Person, PersonId};

    fn score(who: u8, mass: u32, at: u64) -> Score {
        let by = Person {
            id: PersonId(format!("{who:016x}")),
            name: String::new(),
        };
        Score { by, mass, at }
    }

    proptest! {
        #[test]
        fn the_list_is_the_best_of_each(told in prop::collection::vec((0..40_u8, 0..50_u32), 0..200)) {
            let mut best = Best::default();
            for (at, (who, mass)) in (0..).zip(&told) { Scores::apply(&mut best, at, &score(*who, *mass, at)); }
            let mut masses: Vec<u32> = (0..40)
                .filter_map(|who| told.iter().filter(|(other, _)| *other == who).map(|(_, mass)| *mass).max())
                .collect();
            masses.sort_unstable_by_key(|mass| Reverse(*mass));
            masses.truncate(MAX_BEST);
            prop_assert_eq!(best.scores.iter().map(|score| score.mass).collect::<Vec<_>>(), masses);
        }
    }
}
