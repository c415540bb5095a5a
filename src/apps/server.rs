//! The server halves of the applications.

use std::sync::Arc;

use axum::Router;
use duplex_axum::endpoint::StatelessEndpoint;
use duplex_axum::ingest::IngestEndpoint;
use duplex_hub::simulation::Simulation;
use duplex_hub::{BackgroundTask, DynTopic, TopicCommand, dyn_topic};
use duplex_protocol::topic::TopicName;

/// The comparison's measurements: part of the server state, and a middleware in front of the router.
pub use super::compare::server::measure;
use super::{arena, chat, compare, devices, echo, market, notifications, status};
use crate::server::forms::{CommandForm, PlainForm};
use crate::server::moderation::Moderator;
use crate::server::state::ServerState;
use crate::server::unread::UnreadEndpoint;

/// The command-line options of the applications.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "applications")]
pub struct Options {
    #[command(flatten)]
    pub arena: arena::server::Options,
    #[command(flatten)]
    pub market: market::server::Options,
    #[command(flatten)]
    pub devices: devices::server::Options,
}

/// A constructor from the options.
type FromOptions<T> = fn(&Options) -> T;
pub type Kinds = Vec<Box<dyn DynTopic>>;
pub type Tasks = Vec<Arc<dyn BackgroundTask>>;
pub type Simulations = Vec<Arc<dyn Simulation>>;
/// Other servers: the purpose of each, and its `host:port`.
pub type Peers = Vec<(&'static str, String)>;
/// The commands that close a topic for good; none if the topic is unknown or cannot be closed.
type ClosingCommands = fn(&TopicName) -> Option<Vec<TopicCommand>>;

/// The server half of an application.
#[derive(Default)]
pub struct AppServer {
    /// The kinds of its topics.
    pub kinds: Option<fn() -> Kinds>,
    /// WebSocket endpoints that answer each message independently.
    pub endpoints: Vec<StatelessEndpoint>,
    /// Endpoints to which programs post.
    pub ingest: Vec<IngestEndpoint>,
    /// Plain forms of its pages.
    pub forms: Vec<PlainForm>,
    pub command_forms: Vec<CommandForm>,
    /// Endpoints that notify pages of unread content.
    pub unread: Vec<UnreadEndpoint>,
    /// Other routes.
    pub routes: Option<Router<ServerState>>,
    /// Its background tasks.
    pub tasks: Option<FromOptions<Result<Tasks, String>>>,
    /// Its simulations.
    pub simulations: Option<FromOptions<Simulations>>,
    /// Other servers that the options name.
    pub peers: Option<FromOptions<Peers>>,
    /// The commands that an operator's close of a topic sends.
    pub closing_commands: Option<ClosingCommands>,
}

/// The server halves of all applications; built once, at start.
pub struct Apps([AppServer; 8]);

impl Default for Apps {
    fn default() -> Self {
        Self([
            echo::server::app(),
            chat::server::app(),
            arena::server::app(),
            market::server::app(),
            devices::server::app(),
            compare::server::app(),
            status::server::app(),
            notifications::server::app(),
        ])
    }
}

impl Apps {
    /// The kinds of topics of a hub: those of the applications, and moderation.
    pub fn kinds(&self) -> Kinds {
        let moderation = dyn_topic(Moderator::new(self.closable_topics()));
        let apps = self.0.iter().filter_map(|app| app.kinds);
        apps.flat_map(|kinds| kinds()).chain([moderation]).collect()
    }

    pub fn endpoints(&self) -> Vec<StatelessEndpoint> {
        self.collect(|app| &app.endpoints)
    }

    pub fn ingest_endpoints(&self) -> Vec<IngestEndpoint> {
        self.collect(|app| &app.ingest)
    }

    pub fn forms(&self) -> Vec<PlainForm> {
        self.collect(|app| &app.forms)
    }

    pub fn command_forms(&self) -> Vec<CommandForm> {
        self.collect(|app| &app.command_forms)
    }

    pub fn unread_endpoints(&self) -> Vec<UnreadEndpoint> {
        self.collect(|app| &app.unread)
    }

    pub fn routes(&self) -> Router<ServerState> {
        let routes = self.0.iter().filter_map(|app| app.routes.clone());
        routes.fold(Router::new(), Router::merge)
    }

    /// # Errors
    ///
    /// Returns the option that is invalid.
    pub fn background_tasks(&self, options: &Options) -> Result<Tasks, String> {
        let tasks = self.0.iter().filter_map(|app| app.tasks);
        let tasks: Vec<_> = tasks.map(|tasks| tasks(options)).collect::<Result<_, _>>()?;
        Ok(tasks.into_iter().flatten().collect())
    }

    pub fn simulations(&self, options: &Options) -> Simulations {
        let simulations = self.0.iter().filter_map(|app| app.simulations);
        simulations.flat_map(|simulations| simulations(options)).collect()
    }

    pub fn peers(&self, options: &Options) -> Peers {
        let peers = self.0.iter().filter_map(|app| app.peers);
        peers.flat_map(|peers| peers(options)).collect()
    }

    fn closable_topics(&self) -> ClosableTopics {
        ClosableTopics(self.0.iter().filter_map(|app| app.closing_commands).collect())
    }

    /// The commands that close this topic for good; none if it cannot be closed.
    pub fn closing_commands(&self, topic: &TopicName) -> Option<Vec<TopicCommand>> {
        self.closable_topics().closing_commands(topic)
    }

    fn collect<T: Clone>(&self, field: fn(&AppServer) -> &Vec<T>) -> Vec<T> {
        self.0.iter().flat_map(|app| field(app).iter().cloned()).collect()
    }
}

/// The topics that an operator may close for good.
#[derive(Debug, Clone)]
pub struct ClosableTopics(Vec<ClosingCommands>);

impl ClosableTopics {
    /// The commands that close this topic; none if it cannot be closed.
    pub fn closing_commands(&self, topic: &TopicName) -> Option<Vec<TopicCommand>> {
        self.0.iter().find_map(|commands| commands(topic))
    }
}
