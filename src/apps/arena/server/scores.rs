//! The best scores' server half: everybody reads, only the server writes. Pure.

use crate::apps::arena::model::best::Best;
use crate::apps::arena::wire::scores::{ALL, Score, Scores, ScoresCommand};
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Origin, Principal};
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::TopicName;

impl Decider for Scores {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if topic.rest() == ALL {
            Ok(Access::Read)
        } else {
            Err(Denied::Unknown)
        }
    }

    /// A score that is not among the best is no event.
    fn decide(&self, at: Context<'_>, best: &Best, command: ScoresCommand) -> Result<Vec<Score>, Rejection> {
        if at.origin != Origin::Server {
            return Err(Rejection::Denied(Denied::Forbidden));
        }
        let ScoresCommand::Tell { by, mass } = command;
        let score = Score { by, mass, at: at.now };
        Ok(if best.has_room_for(&score) {
            vec![score]
        } else {
            Vec::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::person::{Person, PersonId};
    use duplex_protocol::topic::Topic as _;

    #[test]
    fn only_the_server_tells_and_only_what_is_better() {
        let topic = TopicName::of::<Scores>(ALL).unwrap();
        let person = Person {
            id: PersonId("1".repeat(16)),
            name: "Kim".to_owned(),
        };
        let mut best = Best::default();
        let tell = |who: Principal<'_>, best: &Best, mass| {
            let at = Context {
                topic: &topic,
                who: who.person,
                origin: who.origin,
                authority: duplex_hub::Authority::VISITOR,
                now: 7,
                next: 1,
            };
            Scores.decide(
                at,
                best,
                ScoresCommand::Tell {
                    by: person.clone(),
                    mass,
                },
            )
        };
        assert_eq!(
            tell(Principal::visitor(&person), &best, 500),
            Err(Rejection::Denied(Denied::Forbidden))
        );
        assert_eq!(
            tell(Principal::program(), &best, 500),
            Err(Rejection::Denied(Denied::Forbidden))
        );
        let events = tell(Principal::server(), &best, 500).unwrap();
        Scores::apply(&mut best, 1, &events[0]);
        assert_eq!(tell(Principal::server(), &best, 400), Ok(Vec::new()));
        assert_eq!(tell(Principal::server(), &best, 501).unwrap().len(), 1);
        assert_eq!(Scores.admit(Principal::visitor(&person), &topic), Ok(Access::Read));
    }
}
