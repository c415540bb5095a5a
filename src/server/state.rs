//! The server's shared state: settings, counters, registries and the shutdown signal.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::identity::VisitorIdentity;
use crate::apps::server::measure::wire_bytes;
use axum::extract::FromRef;
use duplex_axum::Gateway;
use leptos::config::LeptosOptions;
use tokio::time::Instant;

use super::access::AccessControl;
use super::background::TaskStatuses;
use super::limits;
use super::moderation::ActiveBans;
use super::names::Names;
use super::signals::Signals;
use super::site;
use super::telemetry::ErrorCounter;
use super::token::Token;
use super::vitals::LastVitals;
use crate::apps::server::Apps;
use crate::apps::server::measure::Measurements;
use crate::ui::fragment::FragmentCache;
use duplex_axum::client_addr::TrustedProxies;
use duplex_axum::listen::{CertificateFiles, Tls};
use duplex_axum::origin::{Origin, Scheme};
use duplex_hub::NamePolicy;
use duplex_hub::simulation::Simulation;
use duplex_hub::{BackgroundTask, Hub};

/// The configuration, validated from the flags of [`Config`](super::config::Config).
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's name, shown on every page.
    pub node: String,
    /// Names reserved for operators, in addition to the node's.
    pub operator_names: Vec<String>,
    /// Maximum WebSocket message in bytes, over all its frames.
    pub max_message: usize,
    /// Bytes of messages and responses that all connections together may keep buffered.
    pub max_buffered: usize,
    /// Maximum concurrent WebSockets, over all endpoints.
    pub max_connections: usize,
    /// The legacy token, which has all roles. Tokens with a role are stored next to the data file.
    pub token: Option<Token>,
    /// Requests for a loopback name without a proxy's headers get operator rights.
    pub trust_local: bool,
    /// Every visitor may control devices.
    pub demo: bool,
    /// Visitors may inject faults into their own sessions.
    pub faults: bool,
    /// Average commands per second of one session.
    pub command_rate: u32,
    /// Whether quotas per client are enforced.
    pub limits: bool,
    /// Origins, besides the server's own, whose pages may open sockets and post.
    pub origins: Vec<Origin>,
    /// The public origin of this site: it determines the served host, the allowed origin and links.
    pub public_url: Option<Origin>,
    /// Certificate and key; if set, connections use TLS.
    pub tls: Option<CertificateFiles>,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Must be less than `silence_limit`, so that a peer has time to answer.
    pub ping_interval: Duration,
    /// A peer that sends nothing, or reads nothing, for this long is disconnected.
    pub silence_limit: Duration,
    /// Time that connections and requests have to end after the stop signal.
    pub drain_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "duplex".to_owned(),
            operator_names: Vec::new(),
            max_message: 1 << 20,
            max_buffered: limits::BUFFERED_BYTES,
            max_connections: 10_000,
            token: None,
            trust_local: false,
            demo: false,
            faults: false,
            command_rate: 50,
            limits: true,
            origins: Vec::new(),
            public_url: None,
            tls: None,
            trusted_proxies: TrustedProxies::default(),
            ping_interval: Duration::from_secs(25),
            silence_limit: Duration::from_secs(60),
            drain_deadline: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// The gateway's part of the settings; `build` identifies the front end.
    fn for_gateway(&self, build: &str) -> duplex_axum::Settings {
        duplex_axum::Settings {
            node: self.node.clone(),
            build: build.to_owned(),
            max_message: self.max_message,
            max_buffered: self.max_buffered,
            max_connections: self.max_connections,
            command_rate: self.command_rate,
            faults: self.faults,
            quotas: self.limits,
            origins: self.origins.clone(),
            public_url: self.public_url.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            ping_interval: self.ping_interval,
            silence_limit: self.silence_limit,
        }
    }

    /// The scheme of the public URL, or https if this server terminates TLS.
    pub fn scheme(&self) -> Option<Scheme> {
        let tls_scheme = self.tls.as_ref().map(|_| Scheme::Https);
        self.public_url.as_ref().map(Origin::scheme).or(tls_scheme)
    }

    /// The base URL of links to this site, for a server that listens at `addr`.
    pub fn base_url(&self, addr: SocketAddr) -> String {
        match &self.public_url {
            Some(origin) => origin.to_string(),
            None => format!("{}://{addr}", self.scheme().unwrap_or_default().as_str()),
        }
    }
}

/// The app's state: the gateway, and everything that only this app has. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct ServerState {
    /// The server halves of the applications.
    pub apps: Arc<Apps>,
    /// The transports' state: the hub, the counters, the quotas, the shutdown signal.
    pub gateway: Gateway,
    pub settings: Arc<Settings>,
    pub options: LeptosOptions,
    /// Tokens, operator sessions and sign-in links.
    pub access: Arc<AccessControl>,
    /// Policy for visitors' names.
    pub names: Arc<Names>,
    /// Identifies the visitor of a request.
    pub visitors: Arc<VisitorIdentity>,
    /// The bans in force.
    pub moderation: Arc<ActiveBans>,
    /// Background tasks, which run as long as the node.
    pub tasks: Arc<[Arc<dyn BackgroundTask>]>,
    pub task_statuses: Arc<TaskStatuses>,
    /// Counts log lines of the levels error and warn.
    pub error_counter: Arc<ErrorCounter>,
    /// The applications' simulations.
    pub simulations: Arc<[Arc<dyn Simulation>]>,
    /// Identifies the build of the front end; empty if its file names have no hashes.
    pub build: Arc<str>,
    /// The part of the style sheet that the page [`HOME_PATH`](crate::apps::HOME_PATH) inlines.
    pub critical_css: Option<Arc<str>>,
    /// Server-owned values to which pages subscribe.
    pub signals: Arc<Signals>,
    pub last_vitals: Arc<LastVitals>,
    /// Cached HTML of page fragments that are the same for many visitors.
    pub fragments: FragmentCache,
    /// State of the measurements that visitors run against this node.
    pub measurements: Arc<Measurements>,
    pub started: Instant,
}

impl ServerState {
    /// `hub` must serve the topic kinds of `apps`.
    pub fn new(settings: Settings, options: LeptosOptions, hub: Hub, apps: Arc<Apps>) -> Self {
        let reserved = settings.operator_names.iter().chain([&settings.node]);
        let names = Arc::<Names>::default();
        names.reserve(reserved.map(String::as_str));
        hub.set_name_policy(Arc::clone(&names) as Arc<dyn NamePolicy>);
        let build: Arc<str> = site::build_id(&options).into();
        let gateway_settings = settings.for_gateway(&build);
        let access = Arc::new(AccessControl::new(&settings, None));
        let (settings, moderation) = (Arc::new(settings), Arc::<ActiveBans>::default());
        let visitors = Arc::new(VisitorIdentity {
            settings: Arc::clone(&settings),
            hub: hub.clone(),
            moderation: Arc::clone(&moderation),
        });
        let gateway = Gateway::new(hub, gateway_settings, Arc::clone(&visitors));
        Self {
            apps,
            gateway: gateway.with_observer(wire_bytes::ConnectionBytes::default),
            access,
            settings,
            names,
            visitors,
            moderation,
            tasks: Arc::default(),
            task_statuses: Arc::default(),
            error_counter: Arc::default(),
            simulations: Arc::default(),
            build,
            critical_css: site::critical_css(&options).map(Arc::from),
            options,
            signals: Arc::default(),
            last_vitals: Arc::default(),
            fragments: FragmentCache::new(limits::PAGE_FRAGMENTS),
            measurements: Arc::default(),
            started: Instant::now(),
        }
    }

    /// Loads tokens and sign-in links from the files next to the data file.
    #[must_use]
    pub fn with_access_files(self, data: &Path) -> Self {
        Self {
            access: Arc::new(AccessControl::new(&self.settings, Some(data))),
            ..self
        }
    }

    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self {
            gateway: self.gateway.with_tls(tls),
            ..self
        }
    }

    #[must_use]
    pub fn with_tasks(self, tasks: Vec<Arc<dyn BackgroundTask>>) -> Self {
        Self {
            tasks: tasks.into(),
            ..self
        }
    }

    #[must_use]
    pub fn with_simulations(self, simulations: Vec<Arc<dyn Simulation>>) -> Self {
        Self {
            simulations: simulations.into(),
            ..self
        }
    }
}

impl Deref for ServerState {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

impl FromRef<ServerState> for Gateway {
    fn from_ref(state: &ServerState) -> Self {
        state.gateway.clone()
    }
}

impl FromRef<ServerState> for LeptosOptions {
    fn from_ref(state: &ServerState) -> Self {
        state.options.clone()
    }
}
