//! Denial-of-service attempts against the running server: each ends in bounded time, holds bounded memory and does not delay
//! other clients.

mod cost;
mod health;
mod memory;
mod timeouts;

use std::collections::BTreeMap;

use duplex_hub::Principal;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

use crate::harness::Node;
use crate::harness::kinds::Note;

/// Creates `count` topics whose states have about 240 kB each.
pub async fn fill_topics(node: &Node, count: usize) -> Vec<TopicName> {
    let text = "x".repeat(12 << 10);
    let mut topics = Vec::new();
    for number in 0..count {
        let topic: TopicName = format!("notes/{number}").parse().unwrap();
        let handle = node.state.hub.open(&topic).await.unwrap();
        for _ in 0..20 {
            let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
            let command = EncodedValue::encode(Encoding::Json, &Note::Add(text.clone())).unwrap();
            let who = Principal::program().person.clone();
            handle.command(who, id, command, Encoding::Json).await;
        }
        topics.push(topic);
    }
    topics
}

/// The `topics` parameter of a query, with the known cursors.
pub fn topics_parameter(topics: &[TopicName], cursors: &BTreeMap<TopicName, String>) -> String {
    let parts = topics.iter().map(|topic| match cursors.get(topic) {
        Some(cursor) => format!("{topic}@{cursor}"),
        None => topic.to_string(),
    });
    parts.collect::<Vec<_>>().join(",")
}
