//! The result of a no-JavaScript form post, provided as context to the page rendered in response.

use std::collections::BTreeMap;

use duplex_protocol::session::Rejection;
use serde::{Deserialize, Serialize};

/// A form's fields by name.
pub type Fields = BTreeMap<String, String>;

/// A form whose command was rejected. The page shows the reason and the typed fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedForm {
    pub rejection: Rejection,
    pub fields: Fields,
}
