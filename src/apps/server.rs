//! What the applications bring to the server; the list of their server halves.

use std::sync::Arc;

use super::chat::wire::{Chat, Rooms};
use super::compare::wire::Compare;
use super::{chat, compare, echo};
use crate::server::hub::{CommandForm, Endpoint, Feed, Form, Inlet, Kind, kind};

/// What the operator may choose for the applications.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {}

pub fn endpoints() -> Vec<Endpoint> {
    [echo::server::endpoints().as_slice(), &compare::server::endpoints()].concat()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}

pub fn kinds() -> Vec<Box<dyn Kind>> {
    vec![kind(Chat), kind(Rooms), kind(Compare)]
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
