//! What every request may reach: the node's settings, its counters, its records and its stop signal.
//! Knows no route.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use leptos::config::LeptosOptions;
use tokio::time::Instant;

use super::access::AccessControl;
use super::client_addr::TrustedProxies;
use super::connection::{BufferBudget, ConnectionContext};
use super::feeds::Feeding;
use super::https::{CertificateFiles, Tls};
use super::limits;
use super::measure::Bench;
use super::moderation::Enforcement;
use super::names::Names;
use super::origin::{Origin, Scheme};
use super::shutdown::Shutdown;
use super::signals::Signals;
use super::site;
use super::telemetry::Trouble;
use super::token::Token;
use super::transport::faults::Faults;
use super::transport::streams::Streams;
use super::vitals::LastBeat;
use crate::server::connection::counters::Counters;
use crate::server::connection::handshakes::Handshakes;
use crate::ui::fragment::Fragments;
use duplex_hub::NamePolicy;
use duplex_hub::quota::{Client, Quotas, Scale};
use duplex_hub::simulation::Stage;
use duplex_hub::{Feed, Hub};

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
    /// What the quotas go by.
    fn scale(&self) -> Scale {
        Scale {
            command_rate: self.command_rate,
            max_connections: u32::try_from(self.max_connections).unwrap_or(u32::MAX),
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
            None => format!("{}://{addr}", self.scheme().unwrap_or_default().name()),
        }
    }
}

/// Cheap to clone: all clones are the same node.
#[derive(Clone)]
pub struct ServerState {
    pub settings: Arc<Settings>,
    pub options: LeptosOptions,
    /// Who may do what.
    pub access: Arc<AccessControl>,
    pub counters: Arc<Counters>,
    /// What each client may ask of this node.
    pub quotas: Arc<Quotas>,
    /// What connections may hold of messages and answers, all together.
    pub buffers: BufferBudget,
    pub handshakes: Arc<Handshakes>,
    /// The topics.
    pub hub: Hub,
    /// Which names visitors may have.
    pub names: Arc<Names>,
    /// Who is kept out.
    pub moderation: Arc<Enforcement>,
    /// Faults that visitors ask for, if they may.
    pub faults: Arc<Faults>,
    /// Streams of server-sent events, by session.
    pub streams: Arc<Streams>,
    /// What runs from start to end beside the answering of requests.
    pub feeds: Arc<[Arc<dyn Feed>]>,
    pub feeding: Arc<Feeding>,
    /// Lines of the log that tell of trouble.
    pub trouble: Arc<Trouble>,
    /// What is no topic, and goes on by itself.
    pub stages: Arc<[Arc<dyn Stage>]>,
    /// Which build of the front end this is; empty if its file names have no hashes.
    pub build: Arc<str>,
    /// What of the style the page of [`FIRST_PAGE`](crate::apps::FIRST_PAGE) brings itself.
    pub first_style: Option<Arc<str>>,
    /// The values that pages follow.
    pub signals: Arc<Signals>,
    pub last_beat: Arc<LastBeat>,
    /// The HTML of parts of pages that many visitors share.
    pub fragments: Fragments,
    /// What is kept for those who measure this node.
    pub bench: Arc<Bench>,
    /// For incoming connections.
    pub tls: Option<Tls>,
    pub shutdown: Shutdown,
    pub started: Instant,
}

impl ServerState {
    pub fn new(settings: Settings, options: LeptosOptions, hub: Hub) -> Self {
        let names = settings.operator_names.iter().chain([&settings.node]);
        let reserved = Arc::<Names>::default();
        reserved.reserve(names.map(String::as_str));
        hub.set_names(Arc::clone(&reserved) as Arc<dyn NamePolicy>);
        let counters = Arc::<Counters>::default();
        Self {
            faults: Faults::new(settings.faults),
            streams: Arc::default(),
            quotas: Quotas::new(settings.limits, settings.scale()),
            buffers: BufferBudget::new(settings.max_buffered, Arc::clone(&counters)),
            access: Arc::new(AccessControl::new(&settings, None)),
            settings: Arc::new(settings),
            hub,
            names: reserved,
            moderation: Arc::default(),
            feeds: Arc::default(),
            feeding: Arc::default(),
            trouble: Arc::default(),
            stages: Arc::default(),
            build: site::build(&options).into(),
            first_style: site::first_style(&options).map(Arc::from),
            options,
            counters,
            handshakes: Arc::new(Handshakes::new(limits::ENDED_HANDSHAKES)),
            signals: Arc::default(),
            last_beat: Arc::default(),
            fragments: Fragments::new(limits::PAGE_FRAGMENTS),
            bench: Arc::default(),
            tls: None,
            shutdown: Shutdown::default(),
            started: Instant::now(),
        }
    }

    /// The hub for this client.
    pub fn hub_for(&self, hub: &Hub, client: Client) -> Hub {
        hub.for_client(&self.quotas, client)
    }

    pub fn connection_context(&self) -> ConnectionContext {
        ConnectionContext {
            shutdown: self.shutdown.clone(),
            counters: Arc::clone(&self.counters),
            buffers: self.buffers.clone(),
            tls: self.tls.clone(),
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
        Self { tls, ..self }
    }

    #[must_use]
    pub fn with_feeds(self, feeds: Vec<Arc<dyn Feed>>) -> Self {
        Self {
            feeds: feeds.into(),
            ..self
        }
    }

    #[must_use]
    pub fn with_stages(self, stages: Vec<Arc<dyn Stage>>) -> Self {
        Self {
            stages: stages.into(),
            ..self
        }
    }
}

impl FromRef<ServerState> for LeptosOptions {
    fn from_ref(state: &ServerState) -> Self {
        state.options.clone()
    }
}
