//! Denial-of-service attempts against the running server: each ends in bounded time, holds bounded memory and does not delay
//! other clients.

mod cost;
mod health;
mod memory;
mod timeouts;

use std::collections::BTreeMap;

use duplex_hub::Principal;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::session::CommandId;
use duplex_protocol::topic::TopicName;

use crate::harness::Node;
use crate::harness::kinds::Note;

/// Creates `count` topics whose states have about 240 kB each.
pub async fn fill_rooms(node: &Node, count: usize) -> Vec<TopicName> {
    let text = "x".repeat(12 << 10);
    let mut rooms = Vec::new();
    for number in 0..count {
        let topic: TopicName = format!("notes/{number}").parse().unwrap();
        let handle = node.state.hub.open(&topic).await.unwrap();
        for _ in 0..20 {
            let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
            let command = Blob::encode(Encoding::Json, &Note::Add(text.clone())).unwrap();
            let who = Principal::program().person.clone();
            handle.command(who, id, command, Encoding::Json).await;
        }
        rooms.push(topic);
    }
    rooms
}

/// The `topics` parameter of a query, with the known cursors.
pub fn topics_of(rooms: &[TopicName], cursors: &BTreeMap<TopicName, String>) -> String {
    let topics = rooms.iter().map(|room| match cursors.get(room) {
        Some(cursor) => format!("{room}@{cursor}"),
        None => room.to_string(),
    });
    topics.collect::<Vec<_>>().join(",")
}
