//! What every request may reach: the node's settings, its counters, its records and its stop signal.
//! Knows no route.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::identity::Visitors;
use crate::apps::server::measure::wire_bytes;
use axum::extract::FromRef;
use duplex_axum::Gateway;
use leptos::config::LeptosOptions;
use tokio::time::Instant;

use super::access::AccessControl;
use super::background::Supervisor;
use super::limits;
use super::moderation::Enforcement;
use super::names::Names;
use super::signals::Signals;
use super::site;
use super::telemetry::ErrorCounter;
use super::token::Token;
use super::vitals::LastVitals;
use crate::apps::server::Apps;
use crate::apps::server::measure::Measurements;
use crate::ui::fragment::Fragments;
use duplex_axum::client_addr::TrustedProxies;
use duplex_axum::listen::{CertificateFiles, Tls};
use duplex_axum::origin::{Origin, Scheme};
use duplex_hub::NamePolicy;
use duplex_hub::simulation::Simulation;
use duplex_hub::{BackgroundTask, Hub};

/// What the operator chose, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's name, on every page.
    pub node: String,
    /// Names that only operators bear, beside the node's.
    pub operator_names: Vec<String>,
    /// Bytes of one message, in any number of frames.
    pub max_message: usize,
    /// Bytes of messages and answers that all connections together may make the node hold.
    pub max_buffered: usize,
    /// WebSockets on the endpoints, all together.
    pub max_connections: usize,
    /// The token without a role, which has all of them; tokens with a role are beside the data file.
    pub token: Option<Token>,
    /// Whoever asks for a loopback name without a proxy's headers is taken for the operator.
    pub trust_local: bool,
    /// What devices of the place do is open to all visitors.
    pub demo: bool,
    /// Visitors may ask for faults in their own sessions.
    pub faults: bool,
    /// Commands of one session in a second, on the average.
    pub command_rate: u32,
    /// Each client is held to the quotas.
    pub limits: bool,
    /// Beside the server's own, from where pages may open sockets and post.
    pub origins: Vec<Origin>,
    /// How clients outside reach this site: its host, its origin, its links.
    pub public_url: Option<Origin>,
    /// Connections speak TLS.
    pub tls: Option<CertificateFiles>,
    /// Whose word counts on clients' addresses and schemes.
    pub trusted_proxies: TrustedProxies,
    /// Less than `silence_limit`, so that a peer has the time to answer.
    pub ping_interval: Duration,
    /// For a peer that sends nothing, and for one that takes nothing.
    pub silence_limit: Duration,
    /// How long connections and requests have to end after the stop signal.
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
    /// Those of the connections; `build` is the front end's.
    fn of_gateway(&self, build: &str) -> duplex_axum::Settings {
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

    /// How every client reaches this site, if that is known.
    pub fn scheme(&self) -> Option<Scheme> {
        let served = self.tls.as_ref().map(|_| Scheme::Https);
        self.public_url.as_ref().map(Origin::scheme).or(served)
    }

    /// What a link to a page of this site begins with, for a server that listens at `addr`.
    pub fn base_url(&self, addr: SocketAddr) -> String {
        match &self.public_url {
            Some(origin) => origin.to_string(),
            None => format!("{}://{addr}", self.scheme().unwrap_or_default().as_str()),
        }
    }
}

/// Cheap to clone: all clones are the same node.
#[derive(Clone)]
pub struct ServerState {
    /// What the applications bring.
    pub apps: Arc<Apps>,
    /// What the transports reach: the hub, the counters, the quotas, the stop signal.
    pub gateway: Gateway,
    pub settings: Arc<Settings>,
    pub options: LeptosOptions,
    /// Who may do what.
    pub access: Arc<AccessControl>,
    /// Which names visitors may have.
    pub names: Arc<Names>,
    /// Who sends a request.
    pub visitors: Arc<Visitors>,
    /// Who is kept out.
    pub moderation: Arc<Enforcement>,
    /// What runs from start to end beside the answering of requests.
    pub tasks: Arc<[Arc<dyn BackgroundTask>]>,
    pub supervisor: Arc<Supervisor>,
    /// Lines of the log that tell of error_counter.
    pub error_counter: Arc<ErrorCounter>,
    /// What is no topic, and goes on by itself.
    pub simulations: Arc<[Arc<dyn Simulation>]>,
    /// Which build of the front end this is; empty if its file names have no hashes.
    pub build: Arc<str>,
    /// What of the style the page of [`FIRST_PAGE`](crate::apps::FIRST_PAGE) brings itself.
    pub first_style: Option<Arc<str>>,
    /// The values that pages follow.
    pub signals: Arc<Signals>,
    pub last_vitals: Arc<LastVitals>,
    /// The HTML of parts of pages that many visitors share.
    pub fragments: Fragments,
    /// What is kept for those who measure this node.
    pub measurements: Arc<Measurements>,
    pub started: Instant,
}

impl ServerState {
    /// `hub` has the kinds of topics of `apps`.
    pub fn new(settings: Settings, options: LeptosOptions, hub: Hub, apps: Arc<Apps>) -> Self {
        let reserved = settings.operator_names.iter().chain([&settings.node]);
        let names = Arc::<Names>::default();
        names.reserve(reserved.map(String::as_str));
        hub.set_names(Arc::clone(&names) as Arc<dyn NamePolicy>);
        let build: Arc<str> = site::build(&options).into();
        let of_gateway = settings.of_gateway(&build);
        let access = Arc::new(AccessControl::new(&settings, None));
        let (settings, moderation) = (Arc::new(settings), Arc::<Enforcement>::default());
        let visitors = Arc::new(Visitors {
            settings: Arc::clone(&settings),
            hub: hub.clone(),
            moderation: Arc::clone(&moderation),
        });
        let gateway = Gateway::new(hub, of_gateway, Arc::clone(&visitors));
        Self {
            apps,
            gateway: gateway.with_observer(wire_bytes::ConnectionBytes::default),
            access,
            settings,
            names,
            visitors,
            moderation,
            tasks: Arc::default(),
            supervisor: Arc::default(),
            error_counter: Arc::default(),
            simulations: Arc::default(),
            build,
            first_style: site::first_style(&options).map(Arc::from),
            options,
            signals: Arc::default(),
            last_vitals: Arc::default(),
            fragments: Fragments::new(limits::PAGE_FRAGMENTS),
            measurements: Arc::default(),
            started: Instant::now(),
        }
    }

    /// With the tokens and sign-in links that are kept beside the data file.
    #[must_use]
    pub fn with_access_beside(self, data: &Path) -> Self {
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
