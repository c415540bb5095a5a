//! A WebSocket that sends each new message of a mailbox.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::response::Response;
use duplex_axum::connection::ConnectionKind;
use duplex_axum::error::Problem;
use duplex_axum::websocket::{CloseFrame, ConnectionHandler, Message, UpgradeEndpoint, upgrade};
use serde::Deserialize;

use crate::apps::compare::wire::measure::WATCH_PATH;
use crate::server::state::ServerState;

use super::mailboxes::Mailbox;
use crate::server::limits;

#[derive(Deserialize)]
pub struct MailboxQuery {
    run: String,
    r#box: String,
}

/// Handles every method of [`WATCH_PATH`]; upgrades a WebSocket handshake.
pub async fn open(
    State(state): State<ServerState>,
    Query(query): Query<MailboxQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let Some(mailbox) = state.measurements.mailboxes.get_or_create(&query.run, &query.r#box) else {
        return Err(Problem::not_found("There is no mailbox of this name."));
    };
    let endpoint = UpgradeEndpoint {
        path: WATCH_PATH,
        description: "sends each new message of the mailbox in the query.",
        kind: ConnectionKind::Endpoint,
    };
    upgrade(&state, request, endpoint, |_| MailboxSocket::new(mailbox)).await
}

struct MailboxSocket {
    mailbox: Arc<Mailbox>,
    /// The number of the last message sent.
    sent: u64,
}

impl MailboxSocket {
    fn new(mailbox: Arc<Mailbox>) -> Self {
        let sent = mailbox.newest().0;
        Self { mailbox, sent }
    }
}

impl ConnectionHandler for MailboxSocket {
    /// Clients have nothing to send.
    const MAX_MESSAGE: usize = limits::SMALL_MESSAGE;

    /// Ignores the message.
    async fn on_message(&mut self, _message: Message, _out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        Ok(())
    }

    async fn ready(&mut self) {
        self.mailbox.wait_after(self.sent).await;
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        for (number, text) in self.mailbox.since(self.sent) {
            self.sent = number;
            out.push(Message::Text((*text).into()));
        }
        Ok(())
    }
}
