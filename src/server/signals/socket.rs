//! A socket that carries signals: its client says which it follows, and hears their values. It says nothing else, and
//! little of that. Knows no engine, and not what the values mean.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::select_all;
use tokio::time::Instant;

use crate::server::limits;
use crate::server::signals::{Follower, SIGNALS_PATH, Signals, Wish, parse};
use crate::server::state::ServerState;
use duplex_axum::connection::{Counters, DisconnectReason, TransportKind};
use duplex_axum::error::Problem;
use duplex_axum::websocket::{CloseFrame, ConnectionHandler, Message, UpgradeEndpoint, upgrade};
use duplex_hub::session::Bucket;
use duplex_protocol::code;

pub async fn enter(State(state): State<ServerState>, request: Request) -> Result<Response, Problem> {
    let endpoint = UpgradeEndpoint {
        path: SIGNALS_PATH,
        purpose: "values that the server owns, to the browser half of leptos_ws.",
        kind: TransportKind::Signals,
    };
    upgrade(&state, request, endpoint, |_| Following::new(&state)).await
}

/// Why a client is sent away. What it said is not repeated: it may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error("this socket takes Establish and Delete of a server signal, and nothing else")]
    NotAWish,
    #[error("there is no signal of this name")]
    Unknown,
    #[error("this socket follows as many signals as it may")]
    TooMany,
    #[error("too many messages at once")]
    TooFast,
}

struct Following {
    signals: Arc<Signals>,
    counters: Arc<Counters>,
    followed: Vec<Follower>,
    bucket: Bucket,
    began: Instant,
}

impl Following {
    fn new(state: &ServerState) -> Self {
        Self {
            signals: Arc::clone(&state.signals),
            counters: Arc::clone(&state.counters),
            followed: Vec::new(),
            bucket: Bucket::new(limits::SIGNAL_BURST, limits::SIGNAL_EVERY),
            began: Instant::now(),
        }
    }

    fn obey(&mut self, message: &[u8], out: &mut Vec<Message>) -> Result<(), Broken> {
        self.bucket
            .take(self.began.elapsed())
            .map_err(|_wait| Broken::TooFast)?;
        match parse(message).ok_or(Broken::NotAWish)? {
            Wish::Establish(name) => {
                let (said, follower) = self.signals.follow(&name).ok_or(Broken::Unknown)?;
                self.leave(&name);
                if self.followed.len() == limits::SIGNALS_FOLLOWED {
                    return Err(Broken::TooMany);
                }
                self.followed.push(follower);
                out.push(Message::Binary(said));
            }
            Wish::Delete(name) => {
                // One that it does not follow, but could, may be left as well.
                if !self.leave(&name) && self.signals.follow(&name).is_none() {
                    return Err(Broken::Unknown);
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, name: &str) -> bool {
        let before = self.followed.len();
        self.followed.retain(|follower| follower.name() != name);
        self.followed.len() < before
    }
}

impl ConnectionHandler for Following {
    const STALL_LIMIT: Duration = limits::SESSION_STALL;
    const MAX_MESSAGE: usize = limits::SIGNAL_MESSAGE;
    const COUNTED: bool = false;

    async fn on_message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        self.obey(message.as_bytes(), out).map_err(|broken| {
            self.counters.count_disconnect(DisconnectReason::ProtocolError);
            CloseFrame::new(code::POLICY_VIOLATION, broken.to_string())
        })
    }

    async fn ready(&mut self) {
        if self.followed.is_empty() {
            pending::<()>().await;
        }
        select_all(self.followed.iter_mut().map(|follower| Box::pin(follower.changed()))).await;
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        self.followed.retain_mut(|follower| match follower.say() {
            Ok(said) => {
                out.extend(said.map(Message::Binary));
                true
            }
            Err(gone) => {
                out.push(Message::Binary(gone));
                false
            }
        });
        Ok(())
    }
}
