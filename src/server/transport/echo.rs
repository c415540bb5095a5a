//! An endpoint's conversation: each message is answered by itself. Knows no engine.

use std::future::{pending, ready};
use std::time::Duration;

use super::talk::{Farewell, Packet, Talk};
use crate::server::hub::excerpt::Excerpt;
use crate::server::hub::{Answer, Chatter, Endpoint, Payload};
use crate::server::limits;
use crate::wire::code;

pub struct Echo(pub Endpoint);

impl Echo {
    fn answer(&self, packet: Packet) -> Packet {
        let payload = match &packet {
            Packet::Text(text) => Payload::Text(text),
            Packet::Binary(bytes) => Payload::Binary(bytes),
        };
        self.log(payload);
        match (self.0.answer)(payload) {
            Answer::Same => packet,
            Answer::Text(text) => Packet::Text(text.into()),
        }
    }

    fn log(&self, payload: Payload<'_>) {
        let excerpt = Excerpt::new(payload, limits::LOG_CHARS);
        match self.0.chatter {
            Chatter::Info => tracing::info!(bytes = payload.len(), "받은 메시지: {excerpt}"),
            Chatter::Debug => tracing::debug!(bytes = payload.len(), "받은 메시지: {excerpt}"),
        }
    }
}

impl Talk for Echo {
    // As the operator chose.
    const PING: Duration = Duration::MAX;
    const SILENCE: Duration = Duration::MAX;
    const STALL: Duration = Duration::MAX;

    fn hear(&mut self, packet: Packet, out: &mut Vec<Packet>) -> impl Future<Output = Result<(), Farewell>> + Send {
        out.push(self.answer(packet));
        ready(Ok(()))
    }

    fn stir(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    fn say(&mut self, _out: &mut Vec<Packet>) -> impl Future<Output = Result<(), Farewell>> + Send {
        ready(Ok(()))
    }

    fn part(&mut self, _out: &mut Vec<Packet>) -> Farewell {
        Farewell {
            code: code::GOING_AWAY,
            reason: "the server is going away".into(),
        }
    }
}
