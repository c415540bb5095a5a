//! The commands that only the server sends to rooms and to their list.

use serde::{Deserialize, Serialize};

use super::super::model::{Room, RoomList};
use super::super::wire::{Chat, ChatEvent, Rooms, RoomsEvent};
use super::{close, posted, remove};
use duplex_hub::decider::{Context, Millis, ServerCommand};
use duplex_protocol::session::Rejection;

/// A server command to a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatServerCommand {
    /// Closes the deleted room.
    Close,
}

/// A server command to the list of rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomsServerCommand {
    /// Forwarded by a room: its message count and the time of its newest message. A lower count has no effect.
    Posted { room: String, count: u64, at: Millis },
    /// Removes the deleted room from the list.
    Delete { room: String },
}

impl ServerCommand<Chat> for ChatServerCommand {
    fn decide(self, _chat: &Chat, context: Context<'_>, room: &Room) -> Result<Vec<ChatEvent>, Rejection> {
        match self {
            Self::Close => Ok(close(context, room)),
        }
    }
}

impl ServerCommand<Rooms> for RoomsServerCommand {
    fn decide(self, _rooms: &Rooms, context: Context<'_>, list: &RoomList) -> Result<Vec<RoomsEvent>, Rejection> {
        Ok(match self {
            Self::Posted { room, count, at: time } => posted(list, room, count, time),
            Self::Delete { room } => remove(context, list, room),
        })
    }
}
