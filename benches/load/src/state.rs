//! The size of a room's state, as a new member receives it.

use crate::{Result, args::Args, fanout_room::FanoutRoom};

/// The words of the messages.
const WORDS: &str = "the server sends every message of a room to each of its members in the same order and a member that was away \
    for a while gets what it missed when it comes back so nobody has to ask again or look for what others wrote in the meantime";

pub fn state(args: &Args) -> Result<()> {
    let messages = args.number("messages")? as usize;
    let mut room = FanoutRoom::open(args)?;
    // A person may post only a few messages in a row.
    room.join(1..=messages, 1)?;
    room.post((0..messages).map(text))?;
    room.join(messages + 1..=messages + 1, 1)?;
    let bytes = room.state().joined_bytes;
    println!(r#"{{"messages":{messages},"wire_bytes":{bytes}}}"#);
    Ok(())
}

/// A sentence of 3 to 14 words. No two are the same.
fn text(number: usize) -> String {
    let words: Vec<_> = WORDS.split(' ').collect();
    let from = number * 7 % words.len();
    let words = words.iter().cycle().skip(from).take(3 + number * 5 % 12);
    words.copied().collect::<Vec<_>>().join(" ")
}
