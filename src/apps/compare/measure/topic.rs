//! The topic transport: commands and their answers over a separate session. Speaks the session protocol directly instead of using
//! `use_topic`.

use super::{Exchange, ExchangeError, ExchangeFuture, pending_replies::PendingReplies, socket::Socket};
use crate::apps::compare::wire::measure::topic_slot;
use crate::apps::compare::wire::{Compare, CompareMessage};
use duplex_leptos::socket::Payload;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::session::{Answer, ClientFrame, CommandId, ServerFrame};
use duplex_protocol::topic::TopicName;

/// The encoding that the page's session prefers.
const ENCODING: Encoding = Encoding::Postcard;

pub(super) struct TopicExchange {
    socket: Socket,
    pending: PendingReplies,
    topic: TopicName,
    /// Upper 64 bits of the command ids.
    id_prefix: u128,
}

impl TopicExchange {
    pub async fn open(url: &str, run: &str) -> Result<Self, ExchangeError> {
        let pending = PendingReplies::default();
        let replies = pending.clone();
        let protocols = [ENCODING.subprotocol().to_owned()];
        let exchange = Self {
            socket: Socket::open(url, &protocols, move |payload| on_message(payload, &replies)).await?,
            pending,
            topic: TopicName::of::<Compare>(topic_slot(run)).map_err(|_| ExchangeError::Rejected)?,
            id_prefix: u128::from(u64::from_str_radix(run, 16).unwrap_or_default()) << 64,
        };
        let welcome = exchange.pending.register(PendingReplies::HANDSHAKE);
        exchange.send(&ClientFrame::Hello {
            build: String::new(),
            name: None,
        })?;
        welcome.await?;
        Ok(exchange)
    }

    fn send(&self, frame: &ClientFrame) -> Result<(), ExchangeError> {
        let bytes = ENCODING.encode(frame).map_err(|_| ExchangeError::Rejected)?;
        self.socket.send(&Payload::Binary(bytes))
    }
}

fn on_message(payload: &Payload, pending: &PendingReplies) {
    let Payload::Binary(bytes) = payload else { return };
    match ENCODING.decode(bytes) {
        Ok(ServerFrame::Welcome(_)) => pending.resolve(PendingReplies::HANDSHAKE),
        Ok(ServerFrame::Reply { id, answer, .. }) => {
            let number = id
                .as_str()
                .get(24..)
                .and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match (answer, number) {
                (Answer::Accepted { .. }, Some(number)) => pending.resolve(number),
                (Answer::Rejected(_), Some(number)) => pending.reject(number),
                (_, None) => {}
            }
        }
        _ => {}
    }
}

impl Exchange for TopicExchange {
    fn exchange(&self, number: u32, text: String) -> ExchangeFuture {
        let reply = self.pending.register(number);
        let sent = EncodedValue::encode(ENCODING, &CompareMessage::Text { text })
            .map_err(|_| ExchangeError::Rejected)
            .and_then(|command| {
                self.send(&ClientFrame::Command {
                    topic: self.topic.clone(),
                    id: CommandId::without_time(self.id_prefix | u128::from(number)),
                    command,
                })
            });
        Box::pin(async move {
            sent?;
            reply.await
        })
    }
}
