//! What a stranger may try, done to the running server: it ends in bounded time, holds bounded bytes, and keeps nobody else
//! waiting.

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

/// Rooms whose states have some 240 kB each.
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

/// The topics of a query, with cursors where they are known.
pub fn topics_of(rooms: &[TopicName], cursors: &BTreeMap<TopicName, String>) -> String {
    let named = rooms.iter().map(|room| match cursors.get(room) {
        Some(cursor) => format!("{room}@{cursor}"),
        None => room.to_string(),
    });
    named.collect::<Vec<_>>().join(",")
}
