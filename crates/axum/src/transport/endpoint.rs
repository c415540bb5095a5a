//! The WebSocket handler of a [`StatelessEndpoint`], and the routes of endpoints.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use tokio::time::Instant;

use crate::connection::counters::ConnectionKind;
use crate::connection::truncated_payload::TruncatedPayload;
use crate::endpoint::{Payload, Reply, StatelessEndpoint};
use crate::gateway::Gateway;
use crate::transport::handler::{CloseFrame, ConnectionHandler, Message};
use crate::transport::handshake::UpgradeEndpoint;
use crate::transport::upgrade::upgrade;
use crate::{limits, quota};
use duplex_hub::quota::{ClientKey, Quotas, Rate};
use duplex_hub::session::TokenBucket;
use duplex_protocol::code;

pub(crate) struct EndpointHandler {
    endpoint: StatelessEndpoint,
    quotas: Arc<Quotas>,
    client: ClientKey,
    messages: TokenBucket,
    kibibytes: TokenBucket,
    started: Instant,
}

/// Routes for `endpoints`, for every method: HTTP/1.1 opens a WebSocket with GET, HTTP/2 with CONNECT.
pub fn routes<S: Clone + Send + Sync + 'static>(
    gateway: Gateway,
    endpoints: impl IntoIterator<Item = StatelessEndpoint>,
) -> Router<S> {
    let router = endpoints.into_iter().fold(Router::new(), |router, endpoint| {
        let handler = async move |State(gateway): State<Gateway>, request: Request| {
            let client = quota::client(request.extensions());
            let upgrade_endpoint = UpgradeEndpoint {
                path: endpoint.path,
                description: endpoint.description,
                kind: ConnectionKind::Endpoint,
            };
            upgrade(&gateway, request, upgrade_endpoint, |_| {
                EndpointHandler::new(endpoint, &gateway, client)
            })
            .await
        };
        router.route(endpoint.path, any(handler))
    });
    router.with_state(gateway)
}

impl EndpointHandler {
    pub(crate) fn new(endpoint: StatelessEndpoint, state: &Gateway, client: ClientKey) -> Self {
        let max_message = u32::try_from(state.settings.max_message.div_ceil(1024)).unwrap_or(u32::MAX);
        let second = Duration::from_secs(1);
        Self {
            endpoint,
            quotas: Arc::clone(&state.quotas),
            client,
            messages: TokenBucket::new(limits::ENDPOINT_BURST, second / limits::ENDPOINT_RATE),
            kibibytes: TokenBucket::new(
                limits::ENDPOINT_KIB_BURST.max(2 * max_message),
                second / limits::ENDPOINT_KIB_RATE,
            ),
            started: Instant::now(),
        }
    }

    /// Counts one message of `bytes` towards the rate limit, or returns how long to wait.
    fn check_rate_limit(&mut self, bytes: usize) -> Result<(), Duration> {
        if !self.quotas.is_enabled() {
            return Ok(());
        }
        let (now, kibibytes) = (
            self.started.elapsed(),
            u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX),
        );
        self.messages.take(now)?;
        self.kibibytes.take_many(now, kibibytes)?;
        let taken = self.quotas.take(&self.client, Rate::EchoMessages);
        let taken = taken.and_then(|()| self.quotas.take_many(&self.client, Rate::EchoBytes, kibibytes));
        taken.map_err(|exceeded| exceeded.retry_after)
    }

    fn reply(&self, message: Message) -> Message {
        let payload = match &message {
            Message::Text(text) => Payload::Text(text),
            Message::Binary(bytes) => Payload::Binary(bytes),
            Message::Frame(_, frame) => Payload::Binary(frame.bytes()),
        };
        // Only at level debug, since any client could fill the disk with messages.
        tracing::debug!(
            bytes = payload.len(),
            "받은 메시지: {}",
            TruncatedPayload::new(payload, limits::LOG_CHARS)
        );
        match (self.endpoint.reply)(payload) {
            Reply::Echo => message,
            Reply::Text(text) => Message::Text(text.into()),
        }
    }
}

impl ConnectionHandler for EndpointHandler {
    async fn on_message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        match self.check_rate_limit(message.len()) {
            Ok(()) => {
                out.push(self.reply(message));
                Ok(())
            }
            Err(wait) => {
                let reason = format!("too many messages; retry in {} ms", wait.as_millis().max(1));
                Err(CloseFrame::new(code::TOO_FAST, reason))
            }
        }
    }
}
