//! The high-score topic: the best score of each person, at most twenty. `apply` tolerates invalid events.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::apps::arena::wire::scores::{Score, Scores};
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::{NoCommand, Topic};

pub const MAX_HIGH_SCORES: usize = 20;

/// In descending order; equal scores oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HighScores {
    pub scores: Vec<Score>,
}

impl HighScores {
    /// Whether the score enters the list; it must beat the person's current one.
    pub fn admits(&self, score: &Score) -> bool {
        let previous = self.scores.iter().find(|known| known.by.id == score.by.id);
        match (previous, self.scores.last()) {
            (Some(previous), _) => previous.mass < score.mass,
            (None, Some(last)) => self.scores.len() < MAX_HIGH_SCORES || last.mass < score.mass,
            (None, None) => true,
        }
    }
}

impl Topic for Scores {
    const KIND: &'static str = "scores";

    type Command = NoCommand;
    type Event = Score;
    type State = HighScores;

    fn apply(high_scores: &mut HighScores, _seq: Seq, score: &Score) {
        if high_scores.admits(score) {
            high_scores.scores.retain(|known| known.by.id != score.by.id);
            high_scores.scores.push(score.clone());
            high_scores.scores.sort_by_key(|score| (Reverse(score.mass), score.at));
            high_scores.scores.truncate(MAX_HIGH_SCORES);
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
        fn the_list_holds_each_persons_best(scores in prop::collection::vec((0..40_u8, 0..50_u32), 0..200)) {
            let mut high_scores = HighScores::default();
            for (at, (who, mass)) in (0..).zip(&scores) { Scores::apply(&mut high_scores, at, &score(*who, *mass, at)); }
            let mut masses: Vec<u32> = (0..40)
                .filter_map(|who| scores.iter().filter(|(other, _)| *other == who).map(|(_, mass)| *mass).max())
                .collect();
            masses.sort_unstable_by_key(|mass| Reverse(*mass));
            masses.truncate(MAX_HIGH_SCORES);
            prop_assert_eq!(high_scores.scores.iter().map(|score| score.mass).collect::<Vec<_>>(), masses);
        }
    }
}
