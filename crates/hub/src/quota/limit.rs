//! The quota limits. `docs/limits.md` contains the same table (tested). An office of 200 people behind one address with three tabs
//! each stays below them, even when all tabs reconnect at once.

use std::time::Duration;

use crate::limits;

/// A token bucket: `burst` tokens, refilled at `per_minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The capacity of the bucket.
    pub burst: u32,
    /// The sustained rate, per minute.
    pub per_minute: u32,
}

impl RateLimit {
    /// `burst` tokens, refilled at `per_second`.
    pub const fn per_second(burst: u32, per_second: u32) -> Self {
        Self::per_minute(burst, per_second.saturating_mul(60))
    }

    pub(crate) const fn per_minute(burst: u32, per_minute: u32) -> Self {
        Self { burst, per_minute }
    }

    /// The interval at the sustained rate.
    pub fn interval(self) -> Duration {
        Duration::from_secs(60) / self.per_minute.max(1)
    }
}

/// The operator's settings from which the limits are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaConfig {
    /// Commands of one session per second.
    pub command_rate: u32,
    /// Connections of the node.
    pub max_connections: u32,
}

/// The rate-limited operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// HTTP requests of all kinds.
    Requests,
    /// Rendered pages.
    Pages,
    /// WebSockets and event streams opened.
    Handshakes,
    /// Commands over all transports.
    Commands,
    /// KiB of commands, each rounded up.
    CommandBytes,
    /// Topics subscribed to or polled.
    Reads,
    /// Topics started for the client.
    Topics,
    /// [`Creation::Shared`](crate::decider::Creation::Shared).
    SharedCreations,
    /// [`Creation::Personal`](crate::decider::Creation::Personal).
    PersonalCreations,
    /// Messages to a simulation over HTTP.
    SimulationMessages,
    /// Requests of a program with a token.
    ProgramRequests,
    /// Messages to echo endpoints.
    EchoMessages,
    /// KiB of those messages, each rounded up.
    EchoBytes,
}

impl Rate {
    /// The number of variants.
    pub const COUNT: usize = Self::ALL.len();

    /// All variants, in order.
    pub const ALL: [Self; 13] = [
        Self::Requests,
        Self::Pages,
        Self::Handshakes,
        Self::Commands,
        Self::CommandBytes,
        Self::Reads,
        Self::Topics,
        Self::SharedCreations,
        Self::PersonalCreations,
        Self::SimulationMessages,
        Self::ProgramRequests,
        Self::EchoMessages,
        Self::EchoBytes,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Pages => "pages",
            Self::Handshakes => "handshakes",
            Self::Commands => "commands",
            Self::CommandBytes => "command_bytes",
            Self::Reads => "reads",
            Self::Topics => "topics",
            Self::SharedCreations => "rooms",
            Self::PersonalCreations => "alerts",
            Self::SimulationMessages => "turns",
            Self::ProgramRequests => "calls",
            Self::EchoMessages => "echo_messages",
            Self::EchoBytes => "echo_bytes",
        }
    }

    /// One English sentence for the documentation.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Requests => "HTTP requests of all kinds, polls and posts included; not `/healthz` and `/readyz`",
            Self::Pages => "Pages rendered, forms and pages that do not exist included",
            Self::Handshakes => "WebSockets and event streams that are opened",
            Self::Commands => "Commands, over any transport: WebSocket, POST, forms",
            Self::CommandBytes => "KiB of commands, each rounded up",
            Self::Reads => "Topics subscribed to or polled; a page of history counts ten",
            Self::Topics => "Topics that are started because the client reads or writes them",
            Self::SharedCreations => "Shared objects created, such as chat rooms",
            Self::PersonalCreations => "Personal objects created, such as price alerts",
            Self::SimulationMessages => "Messages to simulations over plain HTTP",
            Self::ProgramRequests => "Ingest requests of programs with a token (notices, readings)",
            Self::EchoMessages => "Messages to echo endpoints (`/api/echo`)",
            Self::EchoBytes => "KiB of those messages, each rounded up",
        }
    }

    pub(crate) fn for_address(self, config: QuotaConfig) -> RateLimit {
        let commands = config.command_rate.saturating_mul(6).max(300);
        match self {
            Self::Requests => RateLimit::per_second(20_000, 2_000),
            Self::Pages => RateLimit::per_second(1_500, 60),
            Self::Handshakes => RateLimit::per_second(4_000, 300),
            Self::Commands => RateLimit::per_second(commands.saturating_mul(10), commands),
            Self::CommandBytes => RateLimit::per_second(16 << 10, commands.saturating_add(84)),
            Self::Reads => RateLimit::per_second(30_000, 3_000),
            Self::Topics => RateLimit::per_second(2_000, 40),
            Self::SharedCreations => RateLimit::per_minute(40, 2),
            Self::PersonalCreations => RateLimit::per_minute(200, 60),
            Self::SimulationMessages => RateLimit::per_second(1_200, 600),
            Self::ProgramRequests => RateLimit::per_second(5_000, 1_000),
            Self::EchoMessages => RateLimit::per_second(50_000, 5_000),
            Self::EchoBytes => RateLimit::per_second(512 << 10, 16 << 10),
        }
    }

    /// `None` if there is no limit per person in addition to the limit per address.
    pub(crate) fn for_person(self, config: QuotaConfig) -> Option<RateLimit> {
        let rate = config.command_rate;
        match self {
            Self::Handshakes => Some(RateLimit::per_second(200, 10)),
            Self::Commands => Some(RateLimit::per_second(rate.saturating_mul(6), rate)),
            Self::CommandBytes => Some(RateLimit::per_second(2 << 10, rate.saturating_add(14))),
            Self::Reads => Some(RateLimit::per_second(3_000, 300)),
            Self::Topics => Some(RateLimit::per_second(200, 4)),
            Self::SharedCreations => Some(RateLimit::per_minute(5, 1)),
            Self::PersonalCreations => Some(RateLimit::per_minute(30, 10)),
            Self::SimulationMessages => Some(RateLimit::per_second(120, 60)),
            Self::Requests | Self::Pages | Self::ProgramRequests | Self::EchoMessages | Self::EchoBytes => None,
        }
    }
}

/// The resources that a client can hold concurrently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// WebSockets, event streams and polls.
    Connections,
    /// TCP connections.
    TcpConnections,
    /// Participants in simulations.
    Participants,
    /// Topics awake for the client.
    Topics,
}

impl Resource {
    /// The number of variants.
    pub const COUNT: usize = Self::ALL.len();

    /// All variants, in order.
    pub const ALL: [Self; 4] = [
        Self::Connections,
        Self::TcpConnections,
        Self::Participants,
        Self::Topics,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "open_connections",
            Self::TcpConnections => "open_tcp",
            Self::Participants => "open_seats",
            Self::Topics => "open_topics",
        }
    }

    /// One English sentence for the documentation.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Connections => "WebSockets, event streams and polls; per address at most half of `--max-connections`",
            Self::TcpConnections => "TCP connections of any protocol; unlimited for trusted proxies",
            Self::Participants => "Participants in simulations, over WebSocket and HTTP",
            Self::Topics => "Topics awake because the client reads or writes them; idle ones are evicted first",
        }
    }

    pub(crate) fn for_address(self, config: QuotaConfig) -> u32 {
        match self {
            Self::Connections => (config.max_connections / 2).clamp(1, 3_000),
            Self::TcpConnections => Self::Connections
                .for_address(config)
                .saturating_mul(limits::TCP_CONNECTIONS_PER_WEBSOCKET as u32),
            Self::Participants => 120,
            Self::Topics => 2_000,
        }
    }

    pub(crate) fn for_person(self, config: QuotaConfig) -> Option<u32> {
        match self {
            Self::Connections => Some((config.max_connections / 2).clamp(1, 100)),
            Self::TcpConnections => None,
            Self::Participants => Some(6),
            Self::Topics => Some(300),
        }
    }
}
