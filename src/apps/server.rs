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
use crate::server::state::ServerState;
use crate::server::unread::Summons;
use crate::wire::moderation::Moderation;

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
type Tasks = Vec<Arc<dyn BackgroundTask>>;
type Simulations = Vec<Arc<dyn Simulation>>;
/// Other servers: what each is for, and its `host:port`.
type Peers = Vec<(&'static str, String)>;
type Closing = fn(&TopicName) -> Option<Vec<TopicCommand>>;

/// What an application brings to the server.
#[derive(Default)]
pub struct AppServer {
    /// Its kinds of topics.
    pub kinds: Vec<Box<dyn DynTopic>>,
    /// WebSocket addresses that answer each message by itself.
    pub endpoints: Vec<Endpoint>,
    /// Where programs post.
    pub ingest: Vec<IngestEndpoint>,
    /// Plain forms of its pages.
    pub forms: Vec<Form>,
    pub command_forms: Vec<CommandForm>,
    /// Where pages hear that something unread waits for their visitor.
    pub unread: Vec<Summons>,
    /// Other routes.
    pub routes: Option<Router<ServerState>>,
    /// Its background tasks.
    pub tasks: Option<ByOptions<Result<Tasks, String>>>,
    /// Its simulations.
    pub simulations: Option<ByOptions<Simulations>>,
    /// Other servers that the operator's configuration names: what each is for, and its `host:port`.
    pub peers: Option<ByOptions<Peers>>,
    /// What is told, and to whom, when an operator closes this topic for good; none if it is not this application's, or stays.
    pub closing: Option<Closing>,
}

fn all() -> [AppServer; 8] {
    [
        echo::server::app(),
        chat::server::app(),
        arena::server::app(),
        market::server::app(),
        devices::server::app(),
        compare::server::app(),
        status::server::app(),
        notifications::server::app(),
    ]
}

/// Those of the applications, and the server's own.
pub fn kinds() -> Vec<Box<dyn DynTopic>> {
    let own = [dyn_topic(Moderation)];
    all().into_iter().flat_map(|app| app.kinds).chain(own).collect()
}

pub fn endpoints() -> Vec<Endpoint> {
    all().into_iter().flat_map(|app| app.endpoints).collect()
}

pub fn ingest_endpoints() -> Vec<IngestEndpoint> {
    all().into_iter().flat_map(|app| app.ingest).collect()
}

pub fn forms() -> Vec<Form> {
    all().into_iter().flat_map(|app| app.forms).collect()
}

pub fn command_forms() -> Vec<CommandForm> {
    all().into_iter().flat_map(|app| app.command_forms).collect()
}

pub fn summonses() -> Vec<Summons> {
    all().into_iter().flat_map(|app| app.unread).collect()
}

pub fn routes() -> Router<ServerState> {
    let routes = all().into_iter().filter_map(|app| app.routes);
    routes.fold(Router::new(), Router::merge)
}

pub fn background_tasks(options: &Options) -> Result<Vec<Arc<dyn BackgroundTask>>, String> {
    let tasks = all().into_iter().filter_map(|app| app.tasks);
    let tasks: Vec<_> = tasks.map(|tasks| tasks(options)).collect::<Result<_, _>>()?;
    Ok(tasks.into_iter().flatten().collect())
}

pub fn stages(options: &Options) -> Vec<Arc<dyn Simulation>> {
    let simulations = all().into_iter().filter_map(|app| app.simulations);
    simulations.flat_map(|simulations| simulations(options)).collect()
}

pub fn peers(options: &Options) -> Vec<(&'static str, String)> {
    let peers = all().into_iter().filter_map(|app| app.peers);
    peers.flat_map(|peers| peers(options)).collect()
}

/// What is told, and to whom, when an operator closes this topic for good; none if it stays.
pub fn closing(topic: &TopicName) -> Option<Vec<TopicCommand>> {
    let mut closings = all().into_iter().filter_map(|app| app.closing);
    closings.find_map(|closing| closing(topic))
}
