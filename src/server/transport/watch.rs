//! A WebSocket that says what comes into a box of the measurements: pushing, and nothing else. Knows no engine.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use super::talk::{Farewell, Packet, Talk};
use crate::server::limits;
use crate::server::measure::boxes::Mailbox;
use duplex_protocol::code;

pub struct Watch {
    mailbox: Arc<Mailbox>,
    /// Said up to this number.
    said: u64,
}

impl Watch {
    pub fn new(mailbox: Arc<Mailbox>) -> Self {
        let said = mailbox.newest().0;
        Self { mailbox, said }
    }
}

impl Talk for Watch {
    // As the operator chose.
    const PING: Duration = Duration::MAX;
    const SILENCE: Duration = Duration::MAX;
    const STALL: Duration = Duration::MAX;
    /// Nothing is expected, and whatever comes is dropped.
    const MESSAGE: usize = limits::SMALL_MESSAGE;

    fn hear(&mut self, _packet: Packet, _out: &mut Vec<Packet>) -> impl Future<Output = Result<(), Farewell>> + Send {
        ready(Ok(()))
    }

    async fn stir(&mut self) {
        self.mailbox.wait(self.said).await;
    }

    fn say(&mut self, out: &mut Vec<Packet>) -> impl Future<Output = Result<(), Farewell>> + Send {
        for (number, text) in self.mailbox.since(self.said) {
            self.said = number;
            out.push(Packet::Text((*text).into()));
        }
        ready(Ok(()))
    }

    fn part(&mut self, _out: &mut Vec<Packet>) -> Farewell {
        Farewell {
            code: code::GOING_AWAY,
            reason: "the server is going away".into(),
        }
    }
}
