//! What the integration tests share.

use std::time::Duration;

use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

/// The timeout of every wait.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// A topic that anybody may write to: the state is the sum of the commands.
pub(crate) struct Tally;

impl Topic for Tally {
    const KIND: &'static str = "tally";
    type Command = u32;
    type Event = u32;
    type State = u64;

    fn apply(total: &mut u64, _seq: Seq, added: &u32) {
        *total += u64::from(*added);
    }
}

impl Decider for Tally {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _context: Context<'_>, _total: &u64, add: u32) -> Result<Vec<u32>, Rejection> {
        Ok(vec![add])
    }
}
