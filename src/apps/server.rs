//! What the applications bring to the server; the list of their server halves.

use super::echo;
use crate::server::hub::{CommandForm, Endpoint, Form, Kind};

pub fn endpoints() -> Vec<Endpoint> {
    echo::server::endpoints().into()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}

pub fn kinds() -> Vec<Box<dyn Kind>> {
    vec![]
}

pub fn command_forms() -> Vec<CommandForm> {
    vec![]
}
