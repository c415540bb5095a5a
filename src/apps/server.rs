//! The list of applications' server halves, and what each brings to the server.

use std::sync::Arc;

use axum::Router;
use duplex_axum::endpoint::Endpoint;
use duplex_axum::ingest::IngestEndpoint;
use duplex_hub::simulation::Simulation;
use duplex_hub::{BackgroundTask, DynTopic, TopicCommand, dyn_topic};
use duplex_protocol::topic::TopicName;

/// What the comparison counts of a node: in its state, and in front of its router.
pub use super::compare::server::measure;
use super::{arena, chat, compare, devices, echo, market, notifications, status};
use crate::server::forms::{CommandForm, Form};
use crate::server::moderation::Moderator;
use crate::server::state::ServerState;
use crate::server::unread::UnreadEndpoint;

/// What the operator may choose for the applications.
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

/// What follows from the operator's choice.
type ByOptions<T> = fn(&Options) -> T;
pub type Kinds = Vec<Box<dyn DynTopic>>;
pub type Tasks = Vec<Arc<dyn BackgroundTask>>;
pub type Simulations = Vec<Arc<dyn Simulation>>;
/// Other servers: what each is for, and its `host:port`.
pub type Peers = Vec<(&'static str, String)>;
type ClosingCommands = fn(&TopicName) -> Option<Vec<TopicCommand>>;

/// What an application brings to the server.
#[derive(Default)]
pub struct AppServer {
    /// Its kinds of topics, for a hub.
    pub kinds: Option<fn() -> Kinds>,
    /// WebSocket addresses that answer each message by itself.
    pub endpoints: Vec<Endpoint>,
    /// Where programs post.
    pub ingest: Vec<IngestEndpoint>,
    /// Plain forms of its pages.
    pub forms: Vec<Form>,
    pub command_forms: Vec<CommandForm>,
    /// Where pages hear that something unread waits for their visitor.
    pub unread: Vec<UnreadEndpoint>,
    /// Other routes.
    pub routes: Option<Router<ServerState>>,
    /// Its background tasks.
    pub tasks: Option<ByOptions<Result<Tasks, String>>>,
    /// Its simulations.
    pub simulations: Option<ByOptions<Simulations>>,
    /// Other servers that the operator's configuration names: what each is for, and its `host:port`.
    pub peers: Option<ByOptions<Peers>>,
    /// What is told, and to whom, when an operator closes this topic for good; none if it is not this application's, or stays.
    pub closing_commands: Option<ClosingCommands>,
}

/// What all applications bring to the server: listed once, when the server starts.
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
    /// The kinds of topics of one hub: those of the applications, and the server's own.
    pub fn kinds(&self) -> Kinds {
        let own = dyn_topic(Moderator::new(self.closable_topics()));
        let apps = self.0.iter().filter_map(|app| app.kinds);
        apps.flat_map(|kinds| kinds()).chain([own]).collect()
    }

    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.all(|app| &app.endpoints)
    }

    pub fn ingest_endpoints(&self) -> Vec<IngestEndpoint> {
        self.all(|app| &app.ingest)
    }

    pub fn forms(&self) -> Vec<Form> {
        self.all(|app| &app.forms)
    }

    pub fn command_forms(&self) -> Vec<CommandForm> {
        self.all(|app| &app.command_forms)
    }

    pub fn unread_endpoints(&self) -> Vec<UnreadEndpoint> {
        self.all(|app| &app.unread)
    }

    pub fn routes(&self) -> Router<ServerState> {
        let routes = self.0.iter().filter_map(|app| app.routes.clone());
        routes.fold(Router::new(), Router::merge)
    }

    /// # Errors
    ///
    /// Says which option cannot work.
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

    /// What is told, and to whom, when an operator closes this topic for good; none if it stays.
    pub fn closing_commands(&self, topic: &TopicName) -> Option<Vec<TopicCommand>> {
        self.closable_topics().closing_commands(topic)
    }

    fn all<T: Clone>(&self, of: fn(&AppServer) -> &Vec<T>) -> Vec<T> {
        self.0.iter().flat_map(|app| of(app).iter().cloned()).collect()
    }
}

/// Which topics an operator may close for good.
#[derive(Debug, Clone)]
pub struct ClosableTopics(Vec<ClosingCommands>);

impl ClosableTopics {
    /// What is told, and to whom; none if the topic stays.
    pub fn closing_commands(&self, topic: &TopicName) -> Option<Vec<TopicCommand>> {
        self.0.iter().find_map(|closing| closing(topic))
    }
}
