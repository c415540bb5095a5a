//! The topic, the same on the server and in the browser.

use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::Topic;

pub struct Tally;

/// The app has one topic of this kind: `tally/one`.
pub const ONE: &str = "one";

impl Topic for Tally {
    const KIND: &'static str = "tally";
    type Command = u32; // the amount to add
    type Event = u32; // the amount that was added
    type State = u64;

    fn apply(total: &mut u64, _seq: Seq, added: &u32) {
        *total = total.saturating_add(u64::from(*added));
    }
}
