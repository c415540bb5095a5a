//! What the applications bring to the server; the list of their server halves.

use super::chat::wire::{Chat, Rooms};
use super::{chat, echo};
use crate::server::hub::{CommandForm, Endpoint, Form, Kind, kind};

pub fn endpoints() -> Vec<Endpoint> {
    echo::server::endpoints().into()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}

pub fn kinds() -> Vec<Box<dyn Kind>> {
    vec![kind(Chat), kind(Rooms)]
}

pub fn command_forms() -> Vec<CommandForm> {
    chat::server::forms().into()
}
