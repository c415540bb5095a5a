//! A client's message: its player's inputs tick by tick, and the frame that it acknowledges. Contains no position, because the
//! server is authoritative.

use super::MAX_NAME_BYTES;
use super::bytes::{DecodeError, Reader, Writer};
use crate::apps::arena::model::body::Input;

/// Maximum number of inputs in one message: 0.5 s, what one request of a slow HTTP connection carries.
pub const MAX_INPUTS: usize = 15;
/// Maximum message size in bytes.
pub const MAX_INPUT_MESSAGE: usize = 256;

const VERSION: u8 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputMessage {
    /// The tick of the newest frame; 0 if there is none, and the next frame must be a full one.
    pub ack: u32,
    /// The client's clock in milliseconds; the next frame echoes it.
    pub timestamp: u32,
    /// A request and its number, repeated until a frame acknowledges the number.
    pub request: Option<(u32, RoleRequest)>,
    /// The number of the first input; the others follow it.
    pub first_input: u32,
    pub inputs: Vec<Input>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleRequest {
    /// Join as a player with this name.
    Play(String),
    /// Become a spectator of this body, or of the heaviest.
    Watch(Option<u16>),
}

impl InputMessage {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.byte(VERSION);
        writer.varint(self.ack);
        writer.varint(self.timestamp);
        match &self.request {
            None => writer.byte(0),
            Some((number, RoleRequest::Play(name))) => {
                writer.byte(1);
                writer.varint(*number);
                writer.text(name);
            }
            Some((number, RoleRequest::Watch(id))) => {
                writer.byte(2);
                writer.varint(*number);
                writer.varint(id.map_or(0, u32::from));
            }
        }
        writer.varint(self.first_input);
        writer.varint(self.inputs.len() as u32);
        self.inputs.iter().for_each(|input| writer.0.extend(input.pack()));
        writer.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        if bytes.len() > MAX_INPUT_MESSAGE || reader.byte()? != VERSION {
            return Err(DecodeError);
        }
        let (ack, timestamp) = (reader.varint()?, reader.varint()?);
        let request = match reader.byte()? {
            0 => None,
            1 => Some((
                reader.varint()?,
                RoleRequest::Play(reader.text(MAX_NAME_BYTES)?.to_owned()),
            )),
            2 => Some((
                reader.varint()?,
                RoleRequest::Watch(Some(reader.varint_u16()?).filter(|id| *id > 0)),
            )),
            _ => return Err(DecodeError),
        };
        let first_input = reader.varint()?;
        let count = reader.count(MAX_INPUTS)?;
        let input = |reader: &mut Reader| Input::unpack(reader.array()?).ok_or(DecodeError);
        let inputs = (0..count).map(|_| input(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self {
            ack,
            timestamp,
            request,
            first_input,
            inputs,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requests() -> impl Strategy<Value = Option<(u32, RoleRequest)>> {
        let request = prop_oneof![
            "[a-z가-힣 ]{0,24}".prop_map(RoleRequest::Play),
            prop::option::of(1..=u16::MAX).prop_map(RoleRequest::Watch),
        ];
        prop::option::of((any::<u32>(), request))
    }

    proptest! {
        #[test]
        fn messages_round_trip(ack: u32, timestamp: u32, request in requests(), first_input: u32, raw in prop::collection::vec((any::<u8>(), 0..5_u8, any::<bool>()), 0..=MAX_INPUTS)) {
            let inputs = raw.into_iter().map(|(heading, thrust, boost)| Input { heading, thrust, boost }).collect();
            let message = InputMessage { ack, timestamp, request, first_input, inputs };
            let bytes = message.encode();
            prop_assert!(bytes.len() <= MAX_INPUT_MESSAGE);
            prop_assert_eq!(InputMessage::decode(&bytes), Ok(message));
        }

        #[test]
        fn invalid_bytes_do_not_panic(mut bytes: Vec<u8>) {
            let _ = InputMessage::decode(&bytes);
            bytes.insert(0, VERSION);
            if let Ok(message) = InputMessage::decode(&bytes) { prop_assert!(message.inputs.len() <= MAX_INPUTS); }
        }
    }
}
