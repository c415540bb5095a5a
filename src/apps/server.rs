//! What the applications bring to the server; the list of their server halves.

use std::sync::Arc;

use super::chat::wire::{Chat, Rooms};
use super::devices::wire::{Devices, Fleet, Orders};
use super::notifications::wire::{Inbox, Notices};
use super::{chat, devices, echo, notifications};
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
    vec![
        kind(Chat),
        kind(Rooms),
        kind(Notices),
        kind(Inbox),
        kind(Devices),
        kind(Fleet),
        kind(Orders),
    ]
}

pub fn command_forms() -> Vec<CommandForm> {
    let mut forms = Vec::from(chat::server::forms());
    forms.push(notifications::server::form());
    forms.extend(devices::server::forms());
    forms
}

/// Where programs post.
pub fn inlets() -> Vec<Inlet> {
    vec![notifications::server::inlet(), devices::server::inlet()]
}

/// What the applications do by themselves.
pub fn feeds(options: &Options) -> Result<Vec<Arc<dyn Feed>>, String> {
    devices::server::feeds(&options.devices)
}
