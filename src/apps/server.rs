//! What the applications bring to the server; the list of their server halves.

use std::sync::Arc;

use super::chat::wire::{Chat, Rooms};
use super::devices::wire::{Devices, Fleet, Orders};
use super::{chat, devices, echo};
use crate::server::hub::{CommandForm, Endpoint, Feed, Form, Inlet, Kind, kind};

/// What the operator may choose for the applications.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub devices: devices::server::Options,
}

pub fn endpoints() -> Vec<Endpoint> {
    echo::server::endpoints().into()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}

pub fn kinds() -> Vec<Box<dyn Kind>> {
    vec![kind(Chat), kind(Rooms), kind(Devices), kind(Fleet), kind(Orders)]
}

pub fn command_forms() -> Vec<CommandForm> {
    chat::server::forms()
        .into_iter()
        .chain(devices::server::forms())
        .collect()
}

/// Where programs post.
pub fn inlets() -> Vec<Inlet> {
    vec![devices::server::inlet()]
}

/// What the applications do by themselves.
pub fn feeds(options: &Options) -> Result<Vec<Arc<dyn Feed>>, String> {
    devices::server::feeds(&options.devices)
}
