//! What the applications bring to the server; the list of their server halves.

use std::sync::Arc;

use super::arena::wire::scores::Scores;
use super::chat::wire::{Chat, Rooms};
use super::compare::wire::Compare;
use super::devices::wire::{Devices, Fleet, Orders};
use super::market::wire::{Alerts, Candles, Quotes, Watches};
use super::notifications::wire::{Inbox, Notices};
use super::status::wire::NodeStatus;
use super::{arena, chat, compare, devices, echo, market, notifications};
use crate::server::{
    forms::{CommandForm, Form},
    unread::Summons,
};
use crate::wire::moderation::Moderation;
use duplex_axum::{endpoint::Endpoint, ingest::IngestEndpoint};
use duplex_hub::simulation::Stage;
use duplex_hub::{BackgroundTask, Kind, TopicCommand, kind};
use duplex_protocol::topic::TopicName;

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

pub fn endpoints() -> Vec<Endpoint> {
    [echo::server::endpoints().as_slice(), &compare::server::endpoints()].concat()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}

pub fn kinds() -> Vec<Box<dyn Kind>> {
    vec![
        kind(Chat),
        kind(Rooms),
        kind(Scores),
        kind(Notices),
        kind(Inbox),
        kind(Quotes),
        kind(Candles),
        kind(Alerts),
        kind(Watches),
        kind(Devices),
        kind(Fleet),
        kind(Orders),
        kind(NodeStatus),
        kind(Compare),
        kind(Moderation),
    ]
}

pub fn command_forms() -> Vec<CommandForm> {
    let mut forms = Vec::from(chat::server::forms());
    forms.push(notifications::server::form());
    forms.extend(devices::server::forms());
    forms
}

/// Other servers that the operator's configuration names: what each is for, and its `host:port`.
pub fn peers(options: &Options) -> Vec<(&'static str, String)> {
    let broker = options.devices.broker();
    broker.map(|broker| ("MQTT broker", broker)).into_iter().collect()
}

/// Where programs post.
pub fn ingest_endpoints() -> Vec<IngestEndpoint> {
    vec![
        notifications::server::ingest_endpoint(),
        devices::server::ingest_endpoint(),
    ]
}

/// Where pages hear that something waits for their visitor.
pub fn summonses() -> Vec<Summons> {
    vec![notifications::server::news()]
}

/// What is told, and to whom, when an operator closes this topic for good; none if it stays.
pub fn closing(topic: &TopicName) -> Option<Vec<TopicCommand>> {
    chat::server::closing(topic)
}

/// What the applications do by themselves.
pub fn background_tasks(options: &Options) -> Result<Vec<Arc<dyn BackgroundTask>>, String> {
    let mut tasks = market::server::background_tasks(&options.market)?;
    tasks.extend(devices::server::background_tasks(&options.devices)?);
    Ok(tasks)
}

/// What is no topic: each is a background task too.
pub fn stages(options: &Options) -> Vec<Arc<dyn Stage>> {
    vec![arena::server::stage(&options.arena)]
}
