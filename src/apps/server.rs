//! What the applications bring to the server: the only list of it.

use super::echo;
use crate::server::hub::{Endpoint, Form};

pub fn endpoints() -> Vec<Endpoint> {
    echo::server::endpoints().to_vec()
}

pub fn forms() -> Vec<Form> {
    vec![echo::server::form()]
}
