//! A node's server: from the listening socket to the drained shutdown.

use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::error::Problem;
use crate::gateway::Gateway;
use crate::{health, limits};

/// Serves a router until the gateway's shutdown begins, then drains: open connections are told to come back later, and the log is
/// closed when they have ended. Used instead of [`axum::serve()`], which bounds neither the time nor the number of connections.
#[must_use = "a server does nothing until `serve` is awaited"]
pub struct Server {
    router: Router,
    gateway: Gateway,
    health: Router,
    max_connections: usize,
    drain_deadline: Duration,
}

impl Server {
    /// A server of `router`. It answers health checks ([`health::routes`]) on a thread of its own, however busy the others are.
    pub fn new(router: Router, gateway: Gateway) -> Self {
        let full = async || Problem::unavailable("The server has as many connections as it may.").into_response();
        Self {
            health: health::routes(gateway.clone()).fallback(full),
            max_connections: gateway.settings.max_connections.saturating_mul(limits::TCP_PER_SOCKET),
            drain_deadline: limits::DRAIN_DEADLINE,
            router,
            gateway,
        }
    }

    /// Answers health checks, and every request of a connection beyond the limits, by `health`. It should hold [`health::routes`]
    /// and a fallback that answers 503.
    pub fn health(self, health: Router) -> Self {
        Self { health, ..self }
    }

    /// TCP connections at once: by default three for each of [`Settings::max_connections`](crate::Settings::max_connections). It
    /// should be less than the process's limit of open files.
    pub fn max_connections(self, max_connections: usize) -> Self {
        Self {
            max_connections,
            ..self
        }
    }

    /// How long connections have to end after the shutdown has begun, and then the log: 10 s each by default.
    pub fn drain_deadline(self, drain_deadline: Duration) -> Self {
        Self { drain_deadline, ..self }
    }

    /// Serves, with TLS if the gateway has it, until the shutdown has begun and everything open has ended or the deadline has passed.
    pub async fn serve(self, listener: TcpListener) {
        let (shutdown, hub) = (self.gateway.shutdown.clone(), self.gateway.hub.clone());
        hub.deliver_forwards();
        if let Some(tls) = self.gateway.tls.clone() {
            tokio::spawn(tls.renew(shutdown.clone()));
        }
        super::accept(listener, self.router, self.health, self.max_connections, self.gateway).await;
        tracing::info!("going away: no new connections, open ones are told");
        match shutdown.drained(self.drain_deadline).await {
            Ok(()) => tracing::info!("all connections ended"),
            Err(left) => tracing::warn!(left, "the deadline passed with connections open"),
        }
        if timeout(self.drain_deadline, hub.close()).await.is_err() {
            tracing::warn!("the deadline passed before the log was closed; what was accepted is in it");
        }
    }
}
