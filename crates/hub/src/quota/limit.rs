//! The limits of quotas in one table, which the documentation repeats. An office of 200 people behind one address with three tabs each
//! stays below them, also when all its tabs reconnect at once.

use std::time::Duration;

use crate::limits;

/// A rate: `burst` at once, and then so many in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The most at once.
    pub burst: u32,
    /// The sustained rate, per minute.
    pub a_minute: u32,
}

impl Bound {
    /// `burst` at once, and then `a_second` per second.
    pub const fn per_second(burst: u32, a_second: u32) -> Self {
        Self::per_minute(burst, a_second.saturating_mul(60))
    }

    pub(crate) const fn per_minute(burst: u32, a_minute: u32) -> Self {
        Self { burst, a_minute }
    }

    /// The time for one at the sustained rate.
    pub fn every(self) -> Duration {
        Duration::from_secs(60) / self.a_minute.max(1)
    }
}

/// The operator's settings from which the limits follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Commands of one session per second.
    pub command_rate: u32,
    /// Connections of the node.
    pub max_connections: u32,
}

/// What has a rate.
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
    /// Subscribed or polled topics.
    Reads,
    /// Topics started for the client.
    Topics,
    /// [`Makes::ForAll`](crate::decider::Makes::ForAll).
    Rooms,
    /// [`Makes::ForOne`](crate::decider::Makes::ForOne).
    Alerts,
    /// Messages to a simulation over HTTP.
    Turns,
    /// A program's calls with a token.
    Calls,
    /// Messages to endpoints that answer each by itself.
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
        Self::Rooms,
        Self::Alerts,
        Self::Turns,
        Self::Calls,
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
            Self::Rooms => "rooms",
            Self::Alerts => "alerts",
            Self::Turns => "turns",
            Self::Calls => "calls",
            Self::EchoMessages => "echo_messages",
            Self::EchoBytes => "echo_bytes",
        }
    }

    /// One English sentence for the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Requests => "HTTP requests of all kinds, polls and posts included; not `/healthz` and `/readyz`",
            Self::Pages => "Pages rendered, forms and pages that do not exist included",
            Self::Handshakes => "WebSockets and event streams that are opened",
            Self::Commands => "Commands, over whatever transport: WebSocket, posts, forms",
            Self::CommandBytes => "KiB of commands, each rounded up",
            Self::Reads => "Topics that are subscribed to or asked for in a poll; a page of history counts ten",
            Self::Topics => "Topics that are started because the client reads or writes them",
            Self::Rooms => "Rooms that are made",
            Self::Alerts => "Price alerts that are set",
            Self::Turns => "Turns in the arena over plain HTTP",
            Self::Calls => "Calls of programs with a token (notices, readings)",
            Self::EchoMessages => "Messages to endpoints that answer each by itself (`/api/echo`)",
            Self::EchoBytes => "KiB of those messages, each rounded up",
        }
    }

    pub(crate) fn of_address(self, scale: Scale) -> Bound {
        let commands = scale.command_rate.saturating_mul(6).max(300);
        match self {
            Self::Requests => Bound::per_second(20_000, 2_000),
            Self::Pages => Bound::per_second(1_500, 60),
            Self::Handshakes => Bound::per_second(4_000, 300),
            Self::Commands => Bound::per_second(commands.saturating_mul(10), commands),
            Self::CommandBytes => Bound::per_second(16 << 10, commands.saturating_add(84)),
            Self::Reads => Bound::per_second(30_000, 3_000),
            Self::Topics => Bound::per_second(2_000, 40),
            Self::Rooms => Bound::per_minute(40, 2),
            Self::Alerts => Bound::per_minute(200, 60),
            Self::Turns => Bound::per_second(1_200, 600),
            Self::Calls => Bound::per_second(5_000, 1_000),
            Self::EchoMessages => Bound::per_second(50_000, 5_000),
            Self::EchoBytes => Bound::per_second(512 << 10, 16 << 10),
        }
    }

    /// None: of one person as of the address.
    pub(crate) fn of_person(self, scale: Scale) -> Option<Bound> {
        let rate = scale.command_rate;
        match self {
            Self::Handshakes => Some(Bound::per_second(200, 10)),
            Self::Commands => Some(Bound::per_second(rate.saturating_mul(6), rate)),
            Self::CommandBytes => Some(Bound::per_second(2 << 10, rate.saturating_add(14))),
            Self::Reads => Some(Bound::per_second(3_000, 300)),
            Self::Topics => Some(Bound::per_second(200, 4)),
            Self::Rooms => Some(Bound::per_minute(5, 1)),
            Self::Alerts => Some(Bound::per_minute(30, 10)),
            Self::Turns => Some(Bound::per_second(120, 60)),
            Self::Requests | Self::Pages | Self::Calls | Self::EchoMessages | Self::EchoBytes => None,
        }
    }
}

/// What is held for a time: the most at once have a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// WebSockets, event streams and polls.
    Connections,
    /// TCP connections.
    Streams,
    /// Participations in simulations.
    Seats,
    /// Topics awake for the client.
    Topics,
}

impl Resource {
    /// The number of variants.
    pub const COUNT: usize = Self::ALL.len();

    /// All variants, in order.
    pub const ALL: [Self; 4] = [Self::Connections, Self::Streams, Self::Seats, Self::Topics];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "open_connections",
            Self::Streams => "open_tcp",
            Self::Seats => "open_seats",
            Self::Topics => "open_topics",
        }
    }

    /// One English sentence for the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Connections => {
                "WebSockets, event streams and polls; of one address never more than half of `--max-connections`"
            }
            Self::Streams => "TCP connections, whatever they carry; a trusted proxy may have as many as there are",
            Self::Seats => "Seats in the arena, by WebSocket and by posts",
            Self::Topics => {
                "Topics awake because the client reads or writes them; those that nobody reads make room for others"
            }
        }
    }

    pub(crate) fn of_address(self, scale: Scale) -> u32 {
        match self {
            Self::Connections => (scale.max_connections / 2).clamp(1, 3_000),
            Self::Streams => Self::Connections
                .of_address(scale)
                .saturating_mul(limits::TCP_PER_SOCKET as u32),
            Self::Seats => 120,
            Self::Topics => 2_000,
        }
    }

    pub(crate) fn of_person(self, scale: Scale) -> Option<u32> {
        match self {
            Self::Connections => Some((scale.max_connections / 2).clamp(1, 100)),
            Self::Streams => None,
            Self::Seats => Some(6),
            Self::Topics => Some(300),
        }
    }
}
