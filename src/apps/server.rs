//! What the applications bring to the server; the list of their server halves.

use std::sync::Arc;

use super::arena::wire::scores::Scores;
use super::chat::wire::{Chat, Rooms};
use super::{arena, chat, echo};
use crate::server::hub::stage::Stage;
use crate::server::hub::{CommandForm, Endpoint, Feed, Form, Inlet, Kind, kind};

/// What the operator may choose for the applications.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    #[command(flatten)]
    arena: arena::server::Options,
}

pub fn endpoints() -> Vec<Endpoint> {
    echo::server::endpoints().into()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}

pub fn kinds() -> Vec<Box<dyn Kind>> {
    vec![kind(Chat), kind(Rooms), kind(Scores)]
}

pub fn command_forms() -> Vec<CommandForm> {
    chat::server::forms().into()
}

/// Where programs post.
pub fn inlets() -> Vec<Inlet> {
    Vec::new()
}

/// What the applications do by themselves.
pub fn feeds(_options: &Options) -> Result<Vec<Arc<dyn Feed>>, String> {
    Ok(Vec::new())
}

/// What is no topic: each is a feed too.
pub fn stages(options: &Options) -> Vec<Arc<dyn Stage>> {
    vec![arena::server::stage(&options.arena)]
}
