//! What tells a page that something waits for its visitor, before it follows the topics themselves. Knows no HTTP and no
//! application.

pub mod route;

use crate::wire::first_visit::FirstVisit;
use duplex_hub::Millis;
use duplex_protocol::codec::Blob;
use duplex_protocol::person::Person;
use duplex_protocol::topic::TopicName;

/// An address that answers when something waits for the visitor who asks.
#[derive(Debug, Clone, Copy)]
pub struct UnreadEndpoint {
    pub path: &'static str,
    /// The topics that it depends on.
    pub topics: fn(&Person) -> Vec<TopicName>,
    /// From their states as JSON, in the same order; none of a topic that the visitor may not see. Then when the visitor came for the
    /// first time, and the time now.
    pub waits: fn(&[Option<Blob>], FirstVisit, Millis) -> bool,
}
