//! The decider of the high scores: all visitors read them, only the server writes them. Pure.

use serde::{Deserialize, Serialize};

use crate::apps::arena::model::high_scores::HighScores;
use crate::apps::arena::wire::scores::{ALL, Score, Scores};
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal, ServerCommand};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoresCommand {
    /// A person's game ended with this peak mass.
    #[serde(rename = "tell")]
    Record { by: Person, mass: u32 },
}

impl Decider for Scores {
    type ServerCommand = ScoresCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if topic.rest() == ALL {
            Ok(Access::Read)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn decide(&self, _context: Context<'_>, _scores: &HighScores, command: NoCommand) -> Result<Vec<Score>, Rejection> {
        match command {}
    }
}

impl ServerCommand<Scores> for ScoresCommand {
    /// Returns no event for a score that does not qualify.
    fn decide(self, _scores: &Scores, context: Context<'_>, high_scores: &HighScores) -> Result<Vec<Score>, Rejection> {
        let Self::Record { by, mass } = self;
        let score = Score {
            by,
            mass,
            at: context.now,
        };
        Ok(if high_scores.admits(&score) {
            vec![score]
        } else {
            Vec::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_hub::testing::DeciderHarness;
    use duplex_protocol::person::PersonId;

    #[test]
    fn only_a_better_score_is_an_event() {
        let person = Person {
            id: PersonId("1".repeat(16)),
            name: "Kim".to_owned(),
        };
        let mut scores = DeciderHarness::new(Scores, ALL);
        let mut record = |mass| {
            let by = person.clone();
            scores.execute_as_server(ScoresCommand::Record { by, mass })
        };
        assert_eq!([record(500), record(400), record(501)], [Ok(1), Ok(0), Ok(1)]);
        let admitted = Scores.admit(Principal::visitor(&person), &scores.topic);
        assert_eq!(admitted, Ok(Access::Read));
    }
}
