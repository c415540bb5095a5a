//! What every transport of a node reaches: the hub, the counters, the quotas, the settings and the stop signal.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use duplex_hub::Hub;
use duplex_hub::quota::{Client, Quotas, Scale};

use crate::client_addr::TrustedProxies;
use crate::connection::counters::Counters;
use crate::connection::handshakes::Handshakes;
use crate::connection::{BufferBudget, ConnectionContext, NewConnectionObserver};
use crate::identity::Identify;
use crate::limits;
use crate::listen::https::Tls;
use crate::origin::{Origin, Scheme};
use crate::shutdown::Shutdown;
use crate::transport::faults::Faults;
use crate::transport::streams::Streams;

/// What the operator chose for the connections of a node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The node's name, as the session protocol's welcome says it.
    pub node: String,
    /// Which build of the front end the node serves: a page of another build loads again. Empty if that is not known.
    pub build: String,
    /// Bytes of one message, in any number of frames.
    pub max_message: usize,
    /// Bytes of messages and answers that all connections together may make the node hold.
    pub max_buffered: usize,
    /// Open WebSockets, event streams and polls of the node.
    pub max_connections: usize,
    /// Commands of one session in a second, on the average.
    pub command_rate: u32,
    /// Visitors may ask for faults in their own sessions.
    pub faults: bool,
    /// Each client is held to the quotas.
    pub quotas: bool,
    /// Origins of pages that may open connections and post, beside the node's own.
    pub origins: Vec<Origin>,
    /// How clients reach the site, if that is known.
    pub public_url: Option<Origin>,
    /// The node speaks TLS itself.
    pub tls: bool,
    /// Proxies whose reports on clients' addresses and schemes count.
    pub trusted_proxies: TrustedProxies,
    /// Between two pings of a WebSocket. Less than `silence_limit`, so that a peer has the time to answer.
    pub ping_interval: Duration,
    /// For a peer that sends nothing, and for one that takes nothing.
    pub silence_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "duplex".to_owned(),
            build: String::new(),
            max_message: 1 << 20,
            max_buffered: limits::BUFFERED_BYTES,
            max_connections: 10_000,
            command_rate: 50,
            faults: false,
            quotas: true,
            origins: Vec::new(),
            public_url: None,
            tls: false,
            trusted_proxies: TrustedProxies::default(),
            ping_interval: Duration::from_secs(25),
            silence_limit: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// How every client reaches the site, if that is known.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        let served = self.tls.then_some(Scheme::Https);
        self.public_url.as_ref().map(Origin::scheme).or(served)
    }

    /// What the quotas go by.
    #[must_use]
    pub fn scale(&self) -> Scale {
        Scale {
            command_rate: self.command_rate,
            max_connections: u32::try_from(self.max_connections).unwrap_or(u32::MAX),
        }
    }
}

/// Cheap to clone: all clones are the same node.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

/// What a [`Gateway`] is made of.
#[derive(Clone)]
pub struct Parts {
    pub hub: Hub,
    pub settings: Settings,
    /// Says who sends a request.
    pub identify: Arc<dyn Identify>,
    pub counters: Arc<Counters>,
    /// What each client may ask of the node.
    pub quotas: Arc<Quotas>,
    /// What connections may hold of messages and answers, all together.
    pub buffers: BufferBudget,
    pub handshakes: Arc<Handshakes>,
    /// Faults that visitors asked for, if they may.
    pub faults: Arc<Faults>,
    /// Open streams of server-sent events, by session.
    pub streams: Arc<Streams>,
    /// For incoming connections.
    pub tls: Option<Tls>,
    /// Counts the bytes of each TCP connection, where an app wants to know.
    pub observer: Option<NewConnectionObserver>,
    pub shutdown: Shutdown,
}

impl Parts {
    /// A node with its own counters and quotas.
    #[must_use]
    pub fn new(hub: Hub, settings: Settings, identify: Arc<dyn Identify>) -> Self {
        let counters = Arc::<Counters>::default();
        Self {
            faults: Faults::new(settings.faults),
            quotas: Quotas::new(settings.quotas, settings.scale()),
            buffers: BufferBudget::new(settings.max_buffered, Arc::clone(&counters)),
            handshakes: Arc::new(Handshakes::new(limits::ENDED_HANDSHAKES)),
            streams: Arc::default(),
            tls: None,
            observer: None,
            shutdown: Shutdown::default(),
            counters,
            identify,
            settings,
            hub,
        }
    }
}

impl Gateway {
    /// A node with its own counters and quotas.
    #[must_use]
    pub fn new(hub: Hub, settings: Settings, identify: Arc<dyn Identify>) -> Self {
        Parts::new(hub, settings, identify).into()
    }

    /// The same node with other parts.
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = Parts::clone(&self.0);
        change(&mut parts);
        parts.into()
    }

    /// The hub for this client, who is held to its quotas.
    #[must_use]
    pub fn hub_for(&self, hub: &Hub, client: Client) -> Hub {
        hub.for_client(&self.quotas, client)
    }

    /// What the node's TCP connections share.
    #[must_use]
    pub fn connection_context(&self) -> ConnectionContext {
        ConnectionContext {
            shutdown: self.shutdown.clone(),
            counters: Arc::clone(&self.counters),
            buffers: self.buffers.clone(),
            tls: self.tls.clone(),
            observer: self.observer.clone(),
        }
    }
}

impl From<Parts> for Gateway {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Gateway {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
