//! What the applications bring to the server; the list of their server halves.

use super::echo;
use crate::server::hub::{Endpoint, Form};

pub fn endpoints() -> Vec<Endpoint> {
    echo::server::endpoints().into()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}
