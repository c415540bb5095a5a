//! The signals WebSocket: a client subscribes to signals by name and receives their values. Other messages are protocol errors;
//! messages are rate-limited.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::select_all;
use tokio::time::Instant;

use crate::server::limits;
use crate::server::signals::{SIGNALS_PATH, SignalRequest, SignalSubscription, Signals, parse};
use crate::server::state::ServerState;
use duplex_axum::connection::{ConnectionKind, Counters, DisconnectReason};
use duplex_axum::error::Problem;
use duplex_axum::websocket::{CloseFrame, ConnectionHandler, Message, UpgradeEndpoint, upgrade};
use duplex_hub::session::TokenBucket;
use duplex_protocol::code;

pub async fn upgrade_socket(State(state): State<ServerState>, request: Request) -> Result<Response, Problem> {
    let endpoint = UpgradeEndpoint {
        path: SIGNALS_PATH,
        description: "server-owned signals for leptos_ws clients.",
        kind: ConnectionKind::Signals,
    };
    upgrade(&state, request, endpoint, |_| SignalConnection::new(&state)).await
}

/// Why a client is disconnected. Its message is not quoted, because it may contain anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum SignalProtocolError {
    #[error("this socket takes Establish and Delete of a server signal, and nothing else")]
    InvalidRequest,
    #[error("there is no signal of this name")]
    Unknown,
    #[error("too many signals on this socket")]
    TooMany,
    #[error("too many messages at once")]
    TooFast,
}

struct SignalConnection {
    signals: Arc<Signals>,
    counters: Arc<Counters>,
    subscriptions: Vec<SignalSubscription>,
    rate_limit: TokenBucket,
    began: Instant,
}

impl SignalConnection {
    fn new(state: &ServerState) -> Self {
        Self {
            signals: Arc::clone(&state.signals),
            counters: Arc::clone(&state.counters),
            subscriptions: Vec::new(),
            rate_limit: TokenBucket::new(limits::SIGNAL_BURST, limits::SIGNAL_INTERVAL),
            began: Instant::now(),
        }
    }

    fn handle(&mut self, message: &[u8], out: &mut Vec<Message>) -> Result<(), SignalProtocolError> {
        self.rate_limit
            .take(self.began.elapsed())
            .map_err(|_wait| SignalProtocolError::TooFast)?;
        match parse(message).ok_or(SignalProtocolError::InvalidRequest)? {
            SignalRequest::Establish(name) => {
                let (message, subscription) = self.signals.subscribe(&name).ok_or(SignalProtocolError::Unknown)?;
                self.unsubscribe(&name);
                if self.subscriptions.len() == limits::MAX_SIGNAL_SUBSCRIPTIONS {
                    return Err(SignalProtocolError::TooMany);
                }
                self.subscriptions.push(subscription);
                out.push(Message::Binary(message));
            }
            SignalRequest::Delete(name) => {
                // Deleting an existing signal without a subscription is no error.
                if !self.unsubscribe(&name) && self.signals.subscribe(&name).is_none() {
                    return Err(SignalProtocolError::Unknown);
                }
            }
        }
        Ok(())
    }

    fn unsubscribe(&mut self, name: &str) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|subscription| subscription.name() != name);
        self.subscriptions.len() < before
    }
}

impl ConnectionHandler for SignalConnection {
    const STALL_LIMIT: Duration = limits::SESSION_STALL;
    const MAX_MESSAGE: usize = limits::MAX_SIGNAL_MESSAGE;
    const COUNTED: bool = false;

    async fn on_message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        self.handle(message.as_bytes(), out).map_err(|error| {
            self.counters.count_disconnect(DisconnectReason::ProtocolError);
            CloseFrame::new(code::POLICY_VIOLATION, error.to_string())
        })
    }

    async fn ready(&mut self) {
        if self.subscriptions.is_empty() {
            pending::<()>().await;
        }
        select_all(
            self.subscriptions
                .iter_mut()
                .map(|subscription| Box::pin(subscription.changed())),
        )
        .await;
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        self.subscriptions
            .retain_mut(|subscription| match subscription.next_message() {
                Ok(message) => {
                    out.extend(message.map(Message::Binary));
                    true
                }
                Err(delete_message) => {
                    out.push(Message::Binary(delete_message));
                    false
                }
            });
        Ok(())
    }
}
