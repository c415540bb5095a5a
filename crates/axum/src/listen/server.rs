//! A node's server: it serves a listening socket and drains on shutdown.

use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::error::Problem;
use crate::gateway::Gateway;
use crate::{health, limits};

/// Serves a router until the gateway's shutdown begins, then drains: it tells clients when to reconnect, and closes the log when the
/// connections have ended. It replaces [`axum::serve()`], which limits neither the duration nor the number of connections.
#[must_use = "a server does nothing until `serve` is awaited"]
pub struct Server {
    router: Router,
    gateway: Gateway,
    health: Router,
    max_connections: usize,
    drain_deadline: Duration,
}

impl Server {
    /// A server of `router`. Health checks ([`health::routes`]) are answered on a dedicated thread, even if the others are busy.
    pub fn new(router: Router, gateway: Gateway) -> Self {
        let over_limit_fallback =
            async || Problem::unavailable("The server has reached its connection limit.").into_response();
        Self {
            health: health::routes(gateway.clone()).fallback(over_limit_fallback),
            max_connections: gateway
                .settings
                .max_connections
                .saturating_mul(limits::TCP_CONNECTIONS_PER_WEBSOCKET),
            drain_deadline: limits::DRAIN_DEADLINE,
            router,
            gateway,
        }
    }

    /// Answers health checks, and every request of a connection beyond the limits, with `health`. It should have [`health::routes`] and
    /// a fallback that answers 503.
    pub fn health(self, health: Router) -> Self {
        Self { health, ..self }
    }

    /// The limit of open TCP connections: by default three times [`Settings::max_connections`](crate::Settings::max_connections). It
    /// should be less than the process's limit of open files.
    pub fn max_connections(self, max_connections: usize) -> Self {
        Self {
            max_connections,
            ..self
        }
    }

    /// How long the shutdown waits for connections to end, and then for the log to close: 10 s each by default.
    pub fn drain_deadline(self, drain_deadline: Duration) -> Self {
        Self { drain_deadline, ..self }
    }

    /// Serves, with TLS if the gateway has it, until the shutdown has begun and all connections have ended or the deadline has passed.
    pub async fn serve(self, listener: TcpListener) {
        let (shutdown, hub) = (self.gateway.shutdown.clone(), self.gateway.hub.clone());
        hub.start_outbox();
        if let Some(tls) = self.gateway.tls.clone() {
            tokio::spawn(tls.reload_on_change(shutdown.clone()));
        }
        super::accept(listener, self.router, self.health, self.max_connections, self.gateway).await;
        tracing::info!("shutting down: no new connections; open ones are asked to reconnect");
        match shutdown.wait_for_tasks(self.drain_deadline).await {
            Ok(()) => tracing::info!("all connections ended"),
            Err(open) => tracing::warn!(open, "the deadline passed with connections open"),
        }
        if timeout(self.drain_deadline, hub.close()).await.is_err() {
            tracing::warn!("the deadline passed before the log was closed; accepted commands are stored");
        }
    }
}
