//! What a client says: what its player wants, tick by tick, and which frame it has seen. Nothing of where its body is: that is
//! the server's to say.

use super::MAX_NAME_BYTES;
use super::bytes::{Garbled, Reader, Writer};
use crate::apps::arena::model::body::Intent;

/// Intents of one message: half a second of them, which is what a post over a slow line brings.
pub const MAX_INTENTS: usize = 15;
/// Bytes of a message at most.
pub const MAX_TURN: usize = 256;

const VERSION: u8 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// The newest frame's tick; 0: none, and the next frame must be whole.
    pub ack: u32,
    /// Milliseconds of the client's clock: comes back in the next frame.
    pub stamp: u32,
    /// With its number, said until a frame has that number.
    pub wish: Option<(u32, Wish)>,
    /// The number of the first of the intents; the others follow it.
    pub first: u32,
    pub intents: Vec<Intent>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A body, under this name.
    Play(String),
    /// None; to watch this one, or the first.
    Watch(Option<u16>),
}

impl Turn {
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.byte(VERSION);
        to.number(self.ack);
        to.number(self.stamp);
        match &self.wish {
            None => to.byte(0),
            Some((number, Wish::Play(name))) => {
                to.byte(1);
                to.number(*number);
                to.text(name);
            }
            Some((number, Wish::Watch(whom))) => {
                to.byte(2);
                to.number(*number);
                to.number(whom.map_or(0, u32::from));
            }
        }
        to.number(self.first);
        to.number(self.intents.len() as u32);
        self.intents.iter().for_each(|intent| to.0.extend(intent.pack()));
        to.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut from = Reader(bytes);
        if bytes.len() > MAX_TURN || from.byte()? != VERSION {
            return Err(Garbled);
        }
        let (ack, stamp) = (from.number()?, from.number()?);
        let wish = match from.byte()? {
            0 => None,
            1 => Some((from.number()?, Wish::Play(from.text(MAX_NAME_BYTES)?.to_owned()))),
            2 => Some((from.number()?, Wish::Watch(Some(from.small()?).filter(|id| *id > 0)))),
            _ => return Err(Garbled),
        };
        let first = from.number()?;
        let count = from.count(MAX_INTENTS)?;
        let intent = |from: &mut Reader| Intent::unpack(from.take()?).ok_or(Garbled);
        let intents = (0..count).map(|_| intent(&mut from)).collect::<Result<_, _>>()?;
        from.end()?;
        Ok(Self {
            ack,
            stamp,
            wish,
            first,
            intents,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wishes() -> impl Strategy<Value = Option<(u32, Wish)>> {
        let wish = prop_oneof![
            "[a-z가-힣 ]{0,24}".prop_map(Wish::Play),
            prop::option::of(1..=u16::MAX).prop_map(Wish::Watch),
        ];
        prop::option::of((any::<u32>(), wish))
    }

    proptest! {
        #[test]
        fn a_turn_is_read_as_it_was_written(ack: u32, stamp: u32, wish in wishes(), first: u32, wants in prop::collection::vec((any::<u8>(), 0..5_u8, any::<bool>()), 0..=MAX_INTENTS)) {
            let intents = wants.into_iter().map(|(heading, push, boost)| Intent { heading, push, boost }).collect();
            let turn = Turn { ack, stamp, wish, first, intents };
            let bytes = turn.encode();
            prop_assert!(bytes.len() <= MAX_TURN);
            prop_assert_eq!(Turn::decode(&bytes), Ok(turn));
        }

        #[test]
        fn garbage_is_no_turn_and_no_panic(mut bytes: Vec<u8>) {
            let _ = Turn::decode(&bytes);
            bytes.insert(0, VERSION);
            if let Ok(turn) = Turn::decode(&bytes) { prop_assert!(turn.intents.len() <= MAX_INTENTS); }
        }
    }
}
