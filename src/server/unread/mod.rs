//! The unread hint: tells a page that its visitor has something unread, before the page subscribes to the topics.

pub mod route;

use crate::wire::first_visit::FirstVisit;
use duplex_hub::Millis;
use duplex_protocol::codec::EncodedValue;
use duplex_protocol::person::Person;
use duplex_protocol::topic::TopicName;

/// A route whose event stream reports when its visitor has something unread.
#[derive(Debug, Clone, Copy)]
pub struct UnreadEndpoint {
    pub path: &'static str,
    /// Returns the topics to watch for a person.
    pub topics: fn(&Person) -> Vec<TopicName>,
    /// Whether something is unread, given the topics' states as JSON in the same order (`None` for a topic that the visitor may not
    /// read), the visitor's first visit and the current time.
    pub has_unread: fn(&[Option<EncodedValue>], FirstVisit, Millis) -> bool,
}
