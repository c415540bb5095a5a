//! A topic's command and its answer, over a session of its own. Knows the session protocol, and no hook.

use super::{Answered, Exchange, Fault, socket::Socket, waiting::Waiting};
use crate::apps::compare::wire::measure::slot;
use crate::apps::compare::wire::{Compare, Said};
use duplex_leptos::socket::Payload;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::session::{Answer, ClientFrame, CommandId, ServerFrame};
use duplex_protocol::topic::TopicName;

/// As the page's own link does it, when it can choose.
const ENCODING: Encoding = Encoding::Postcard;

/// The welcome waits under this number.
const WELCOME: u32 = u32::MAX;

pub(super) struct Commands {
    socket: Socket,
    waiting: Waiting,
    topic: TopicName,
    /// The upper half of the commands' ids.
    run: u128,
}

impl Commands {
    pub async fn open(address: &str, run: &str) -> Result<Self, Fault> {
        let waiting = Waiting::default();
        let heard = waiting.clone();
        let protocols = [ENCODING.subprotocol().to_owned()];
        let commands = Self {
            socket: Socket::open(address, &protocols, move |payload| hear(payload, &heard)).await?,
            waiting,
            topic: TopicName::of::<Compare>(slot(run)).map_err(|_| Fault::Refused)?,
            run: u128::from(u64::from_str_radix(run, 16).unwrap_or_default()) << 64,
        };
        let welcome = commands.waiting.wait(WELCOME);
        commands.say(&ClientFrame::Hello {
            build: String::new(),
            name: None,
        })?;
        welcome.await?;
        Ok(commands)
    }

    fn say(&self, frame: &ClientFrame) -> Result<(), Fault> {
        let bytes = ENCODING.encode(frame).map_err(|_| Fault::Refused)?;
        self.socket.send(&Payload::Binary(bytes))
    }
}

fn hear(payload: &Payload, waiting: &Waiting) {
    let Payload::Binary(bytes) = payload else { return };
    match ENCODING.decode(bytes) {
        Ok(ServerFrame::Welcome(_)) => waiting.came(WELCOME),
        Ok(ServerFrame::Reply { id, answer, .. }) => {
            let number = id
                .as_str()
                .get(24..)
                .and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match (answer, number) {
                (Answer::Accepted { .. }, Some(number)) => waiting.came(number),
                (Answer::Rejected(_), Some(number)) => waiting.refused(number),
                (_, None) => {}
            }
        }
        _ => {}
    }
}

impl Exchange for Commands {
    fn exchange(&self, number: u32, text: String) -> Answered {
        let answer = self.waiting.wait(number);
        let sent = Blob::encode(ENCODING, &Said::Say { text })
            .map_err(|_| Fault::Refused)
            .and_then(|command| {
                self.say(&ClientFrame::Command {
                    topic: self.topic.clone(),
                    id: CommandId::without_time(self.run | u128::from(number)),
                    command,
                })
            });
        Box::pin(async move {
            sent?;
            answer.await
        })
    }
}
