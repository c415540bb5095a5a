//! A WebSocket that says what comes into a box of the measurements: pushing, and nothing else. Knows no engine.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::response::Response;
use duplex_axum::connection::Way;
use duplex_axum::error::Problem;
use duplex_axum::websocket::{Farewell, Packet, Talk, UpgradeEndpoint, upgrade};
use serde::Deserialize;

use crate::apps::compare::wire::measure::WATCH_PATH;
use crate::server::state::ServerState;

use super::boxes::Mailbox;
use crate::server::limits;
use duplex_protocol::code;

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
    let Some(mailbox) = state.bench.boxes.get(&watched.run, &watched.r#box) else {
        return Err(Problem::not_found("There is no box of this name."));
    };
    let endpoint = UpgradeEndpoint {
        path: WATCH_PATH,
        purpose: "what is said into the box that the address names.",
        way: Way::Echo,
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
