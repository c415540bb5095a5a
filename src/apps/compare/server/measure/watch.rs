//! A WebSocket that says what comes into a box of the measurements: pushing, and nothing else. Knows no engine.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::response::Response;
use duplex_axum::connection::TransportKind;
use duplex_axum::error::Problem;
use duplex_axum::websocket::{CloseFrame, ConnectionHandler, Message, UpgradeEndpoint, upgrade};
use serde::Deserialize;

use crate::apps::compare::wire::measure::WATCH_PATH;
use crate::server::state::ServerState;

use super::mailboxes::Mailbox;
use crate::server::limits;

#[derive(Deserialize)]
pub struct Watched {
    run: String,
    r#box: String,
}

/// Any method of [`WATCH_PATH`].
pub async fn enter(
    State(state): State<ServerState>,
    Query(watched): Query<Watched>,
    request: Request,
) -> Result<Response, Problem> {
    let Some(mailbox) = state.measurements.mailboxes.get(&watched.run, &watched.r#box) else {
        return Err(Problem::not_found("There is no box of this name."));
    };
    let endpoint = UpgradeEndpoint {
        path: WATCH_PATH,
        purpose: "what is said into the box that the address names.",
        kind: TransportKind::Endpoint,
    };
    upgrade(&state, request, endpoint, |_| Watch::new(mailbox)).await
}

struct Watch {
    mailbox: Arc<Mailbox>,
    /// Said up to this number.
    said: u64,
}

impl Watch {
    fn new(mailbox: Arc<Mailbox>) -> Self {
        let said = mailbox.newest().0;
        Self { mailbox, said }
    }
}

impl ConnectionHandler for Watch {
    /// Nothing is expected, and whatever comes is dropped.
    const MAX_MESSAGE: usize = limits::SMALL_MESSAGE;

    async fn on_message(&mut self, _message: Message, _out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        Ok(())
    }

    async fn ready(&mut self) {
        self.mailbox.wait(self.said).await;
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        for (number, text) in self.mailbox.since(self.said) {
            self.said = number;
            out.push(Message::Text((*text).into()));
        }
        Ok(())
    }
}
