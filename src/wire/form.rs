//! What became of a plain form that a browser without scripts posted: the page that is rendered in answer finds it in its
//! context.

use std::collections::BTreeMap;

use duplex_protocol::session::Rejection;
use serde::{Deserialize, Serialize};

/// A form's fields by name.
pub type Fields = BTreeMap<String, String>;

/// The form's command had no effect: the page shows why, and what was typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedForm {
    pub rejection: Rejection,
    pub fields: Fields,
}
