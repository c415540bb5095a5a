//! The topic's decider: access control, and which events a command produces.

use duplex_hub::Principal;
use duplex_hub::decider::{Access, Context, Decider, NoCommand};
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

use crate::model::Tally;

impl Decider for Tally {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _context: Context<'_>, _total: &u64, add: u32) -> Result<Vec<u32>, Rejection> {
        match add {
            1..=10 => Ok(vec![add]),
            _ => Err(Rejection::custom("one_to_ten")),
        }
    }
}

#[cfg(test)]
mod tests {
    use duplex_hub::testing::DeciderHarness;
    use duplex_protocol::person::{Person, PersonId};

    use super::*;
    use crate::model::ONE;

    #[test]
    fn a_command_adds_one_to_ten() {
        let visitor = Person {
            id: PersonId("0123456789abcdef".to_owned()),
            name: String::new(),
        };
        let mut tally = DeciderHarness::new(Tally, ONE);
        assert_eq!(tally.send(&visitor, 3), Ok(()));
        assert_eq!(tally.send(&visitor, 10), Ok(()));
        for wrong in [0, 11, u32::MAX] {
            assert_eq!(tally.send(&visitor, wrong), Err(Rejection::custom("one_to_ten")));
        }
        assert_eq!(tally.state, 13);
    }
}
