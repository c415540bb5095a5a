//! The shared state of a node: the hub, the settings, the authentication, the counters, the quotas and the shutdown signal.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use duplex_hub::Hub;
use duplex_hub::quota::{ClientKey, QuotaConfig, QuotaExceeded, QuotaGuard, Quotas, Rate, Resource};

use crate::client_addr::TrustedProxies;
use crate::connection::counters::{ConnectionGuard, Counters};
use crate::connection::handshakes::HandshakeRecords;
use crate::connection::{BufferBudget, ConnectionObserver};
use crate::error::Problem;
use crate::identity::{Caller, DynIdentify, Identify, IdentityRequest};
use crate::limits;
use crate::listen::Tls;
use crate::origin::{Origin, Scheme};
use crate::shutdown::Shutdown;
use crate::transport::event_streams::EventStreams;
use crate::transport::faults::Faults;

/// Configuration of a node. Every field has a default:
///
/// ```
/// use duplex_axum::Settings;
///
/// let settings = Settings { node: "node-1".to_owned(), max_connections: 500, ..Settings::default() };
/// # assert_eq!(settings.command_rate, 50);
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    /// The node's name, sent in the session protocol's welcome frame.
    pub node: String,
    /// The build of the front end that the node serves. A page of another build reloads when it connects. Empty if unknown.
    pub build: String,
    /// Maximum size of a WebSocket message in bytes, summed over its frames. A larger one closes the connection with 1009.
    pub max_message: usize,
    /// Bytes that partially received messages and unsent responses of all connections may hold in total. Beyond it, the connections
    /// that hold the largest shares are closed with 1013.
    pub max_buffered: usize,
    /// Maximum number of open WebSockets, event streams and polls. Beyond it, the node answers 503 with `Retry-After`.
    pub max_connections: usize,
    /// Commands per second of one session, on average; further ones are rejected as `TooFast`. A client that sends several times this
    /// rate is closed with 4001.
    pub command_rate: u32,
    /// Whether visitors may inject faults (delays, disconnects, blocked transports) into their own sessions, for demonstrations and tests.
    pub faults: bool,
    /// Whether the quotas of [`duplex_hub::quota`] apply to each client address and each person. Exceeding one is answered with 429.
    pub quotas: bool,
    /// Origins, in addition to the node's own, whose pages may open connections and post.
    pub origins: Vec<Origin>,
    /// The site's public origin, if known. Without it, the node answers only under loopback names, IP addresses and the hosts of
    /// [`origins`](Self::origins), and treats the requested host as its own.
    pub public_url: Option<Origin>,
    /// Proxies whose `Forwarded`, `X-Forwarded-For` and `X-Forwarded-Proto` headers are trusted.
    pub trusted_proxies: TrustedProxies,
    /// The interval of a WebSocket's pings. Less than [`silence_limit`](Self::silence_limit), so that a peer has time to answer.
    pub ping_interval: Duration,
    /// How long a peer may send nothing before it is closed with 3008, and how long it may read nothing.
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
            trusted_proxies: TrustedProxies::default(),
            ping_interval: Duration::from_secs(25),
            silence_limit: Duration::from_secs(60),
        }
    }
}

impl Settings {
    fn quota_config(&self) -> QuotaConfig {
        QuotaConfig {
            command_rate: self.command_rate,
            max_connections: u32::try_from(self.max_connections).unwrap_or(u32::MAX),
        }
    }
}

/// The shared state of a node, for its routes, middleware and connections. Cheap to clone; all clones share the same state.
///
/// It dereferences to its [`GatewayInner`].
#[derive(Clone)]
pub struct Gateway(Arc<GatewayInner>);

/// The fields of a [`Gateway`], reached through [`Deref`].
#[derive(Clone)]
pub struct GatewayInner {
    /// The topics.
    pub hub: Hub,
    /// The configuration.
    pub settings: Settings,
    /// Counts of connections, messages, bytes and responses.
    pub counters: Arc<Counters>,
    /// The quotas of each client address and each person.
    pub quotas: Arc<Quotas>,
    /// The budget of bytes that connections buffer.
    pub buffers: BufferBudget,
    /// TLS for incoming connections, if the node terminates it.
    pub tls: Option<Tls>,
    /// The node's shutdown signal, which every long-lived task watches.
    pub shutdown: Shutdown,
    identify: Arc<dyn DynIdentify>,
    pub(crate) handshakes: Arc<HandshakeRecords>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) streams: Arc<EventStreams>,
    pub(crate) observer_factory: Option<ObserverFactory>,
}

/// Creates the observer of a new TCP connection.
pub(crate) type ObserverFactory = Arc<dyn Fn() -> Arc<dyn ConnectionObserver> + Send + Sync>;

impl Gateway {
    /// A node on `hub`, with counters and quotas of its own. `identify` authenticates callers.
    pub fn new(hub: Hub, settings: Settings, identify: impl Identify) -> Self {
        let counters = Arc::<Counters>::default();
        Self(Arc::new(GatewayInner {
            faults: Faults::new(settings.faults),
            quotas: Quotas::new(settings.quotas, settings.quota_config()),
            buffers: BufferBudget::new(settings.max_buffered, Arc::clone(&counters)),
            handshakes: Arc::new(HandshakeRecords::new(limits::ENDED_HANDSHAKES)),
            streams: Arc::default(),
            tls: None,
            observer_factory: None,
            shutdown: Shutdown::default(),
            identify: Arc::new(identify),
            counters,
            settings,
            hub,
        }))
    }

    /// Terminates TLS on incoming connections. Call it before the gateway is cloned: earlier clones are unchanged.
    #[must_use]
    pub fn with_tls(mut self, tls: impl Into<Option<Tls>>) -> Self {
        Arc::make_mut(&mut self.0).tls = tls.into();
        self
    }

    /// Calls `new` for each TCP connection, to create an observer of its bytes. Call it before the gateway is cloned.
    #[must_use]
    pub fn with_observer<O: ConnectionObserver>(mut self, new: impl Fn() -> O + Send + Sync + 'static) -> Self {
        let new: ObserverFactory = Arc::new(move || Arc::new(new()) as Arc<dyn ConnectionObserver>);
        Arc::make_mut(&mut self.0).observer_factory = Some(new);
        self
    }

    /// Identifies the caller of a request with the app's [`Identify`].
    ///
    /// # Errors
    ///
    /// The response for a caller that the app rejects.
    pub async fn identify(&self, request: IdentityRequest<'_>) -> Result<Caller, Problem> {
        self.identify.identify_dyn(request).await
    }

    /// `hub` for this client: its reads and commands count towards the client's quotas.
    #[must_use]
    pub fn hub_for_client(&self, hub: &Hub, client: ClientKey) -> Hub {
        hub.for_client(&self.quotas, client)
    }

    /// The scheme with which clients reach the site: that of the public origin, or `https` if the node terminates TLS. `None` if
    /// neither is configured.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        let tls_scheme = self.tls.as_ref().map(|_| Scheme::Https);
        self.settings.public_url.as_ref().map(Origin::scheme).or(tls_scheme)
    }

    /// Counts a long-lived response of the app, such as an event stream, as one of the node's connections, until the guard is dropped:
    /// keep it as long as the response lasts.
    ///
    /// # Errors
    ///
    /// 429 with `Retry-After` if the client exceeds a quota, 503 if the node has reached [`Settings::max_connections`].
    pub fn acquire_connection(&self, client: &ClientKey) -> Result<ConnectionGuard, Problem> {
        let quota = self.acquire_client_quota(client)?;
        Ok(self.acquire_connection_slot()?.with_quota(quota))
    }

    /// Counts a connection towards the client's quotas: its rate of handshakes and its open connections.
    pub(crate) fn acquire_client_quota(&self, client: &ClientKey) -> Result<QuotaGuard, QuotaExceeded> {
        self.quotas.take(client, Rate::Handshakes)?;
        self.quotas.acquire(client, Resource::Connections)
    }

    /// Counts a connection towards [`Settings::max_connections`].
    pub(crate) fn acquire_connection_slot(&self) -> Result<ConnectionGuard, Problem> {
        let counted = self
            .counters
            .try_acquire_connection(self.settings.max_connections as u64);
        counted.ok_or_else(|| Problem::unavailable("The server has reached its connection limit."))
    }
}

impl Deref for Gateway {
    type Target = GatewayInner;

    fn deref(&self) -> &GatewayInner {
        &self.0
    }
}
