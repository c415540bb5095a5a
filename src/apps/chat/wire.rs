//! The wire types of rooms and of their list: commands, events and their limits. Independent of state and view.

use serde::{Deserialize, Serialize};

use crate::wire::text;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::Person;
use duplex_protocol::session::Rejection;

/// Milliseconds since 1970, by the server's clock.
pub type Millis = u64;

/// The room that always exists.
pub const LOBBY: &str = "lobby";
/// The name, without its kind, of the only topic of kind `rooms`.
pub const ALL_ROOMS: &str = "all";
/// The presence activity of a person who is typing.
pub const TYPING: &str = "typing";

/// Maximum message length in characters. At four bytes each it still fits into a command.
pub const MAX_MESSAGE_CHARS: usize = 4_000;
/// The longest room name, in characters.
pub const MAX_ROOM: usize = 32;
pub const MAX_TITLE: usize = 60;
/// The longest description of a room, in characters.
pub const MAX_DESCRIPTION: usize = 200;

/// Codes of rejection reasons, which the page translates.
pub mod reason_code {
    pub const EMPTY: &str = "empty";
    pub const TOO_LONG: &str = "too_long";
    /// The message is no longer among the newest, which alone can be changed.
    pub const TOO_OLD: &str = "too_old";
    pub const NOT_YOURS: &str = "not_yours";
    pub const DELETED: &str = "deleted";
    pub const REACTIONS_FULL: &str = "reactions_full";
    pub const BAD_ROOM: &str = "bad_room";
    pub const BAD_TITLE: &str = "bad_title";
    pub const BAD_DESCRIPTION: &str = "bad_line";
    pub const ROOM_TAKEN: &str = "room_taken";
    pub const ROOMS_FULL: &str = "rooms_full";
    pub const NO_ROOM: &str = "no_room";
    /// An operator deleted the room; its name is not reused.
    pub const ROOM_DELETED: &str = "room_gone";
}

/// The topics `chat/<room>`: a room's messages. A message's id is the seq of its event.
#[derive(Debug, Clone, Copy)]
pub struct Chat;

/// The topic `rooms/all`: all rooms and their message counts.
#[derive(Debug, Clone, Copy)]
pub struct Rooms;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatCommand {
    Post { text: String, reply_to: Option<Seq> },
    Edit { seq: Seq, text: String },
    Delete { seq: Seq },
    React { seq: Seq, emoji: Emoji, on: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatEvent {
    /// `number`: the message's number in the room, from 1.
    Posted {
        number: u64,
        by: Person,
        at: Millis,
        text: String,
        reply_to: Option<Reply>,
    },
    Edited {
        seq: Seq,
        by: Person,
        at: Millis,
        text: String,
    },
    Deleted {
        seq: Seq,
        by: Person,
        at: Millis,
    },
    Reacted {
        seq: Seq,
        by: Person,
        at: Millis,
        emoji: Emoji,
        on: bool,
    },
    /// The room and all its messages are deleted.
    Closed {
        at: Millis,
    },
}

/// A reference to the message that another one replies to. Without the text, which may be edited or deleted later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub seq: Seq,
    pub to: Person,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Emoji {
    Yes,
    Heart,
    Laugh,
    Wow,
    Sad,
    Party,
    Thanks,
    Eyes,
}

impl Emoji {
    pub const ALL: [Self; 8] = [
        Self::Yes,
        Self::Heart,
        Self::Laugh,
        Self::Wow,
        Self::Sad,
        Self::Party,
        Self::Thanks,
        Self::Eyes,
    ];

    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Yes => "👍",
            Self::Heart => "❤️",
            Self::Laugh => "😂",
            Self::Wow => "😮",
            Self::Sad => "😢",
            Self::Party => "🎉",
            Self::Thanks => "🙏",
            Self::Eyes => "👀",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomsCommand {
    Create {
        room: String,
        title: String,
    },
    /// Sets the room's description; an empty one removes it.
    Describe {
        room: String,
        #[serde(rename = "line")]
        description: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomsEvent {
    Created {
        room: String,
        title: String,
        by: Person,
        at: Millis,
    },
    Described {
        room: String,
        #[serde(rename = "line")]
        description: String,
        by: Person,
        at: Millis,
    },
    Posted {
        room: String,
        count: u64,
        at: Millis,
    },
    Deleted {
        room: String,
        at: Millis,
    },
}

/// A message that was posted as a plain form and rejected; the page restores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedPost {
    pub name: String,
    pub text: String,
    #[serde(rename = "why")]
    pub rejection: Rejection,
}

/// A new room that was submitted as a plain form and rejected; the page restores the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRoomForm {
    pub room: String,
    pub title: String,
    #[serde(rename = "why")]
    pub rejection: Rejection,
}

/// The path of a room's page.
pub fn room_path(room: &str) -> String {
    match room {
        LOBBY => "/chat".to_owned(),
        room => format!("/chat/{room}"),
    }
}

/// Whether the name has 1 to [`MAX_ROOM`] characters of `a-z 0-9 -`.
pub fn is_room(name: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=MAX_ROOM).contains(&name.len()) && name.bytes().all(plain)
}

/// Normalizes a message before it is posted; empty if nothing of it is visible. The server normalizes it again.
pub fn normalize_text(typed: &str) -> String {
    text::multi_line(typed)
}

/// Checks a normalized text; the error is the reason it may not be posted.
pub fn check_text(text: &str) -> Result<(), &'static str> {
    match text.chars().count() {
        0 => Err(reason_code::EMPTY),
        1..=MAX_MESSAGE_CHARS => Ok(()),
        _ => Err(reason_code::TOO_LONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_are_validated() {
        for valid in [LOBBY, "a", "room-2", &"x".repeat(MAX_ROOM)] {
            assert!(is_room(valid), "{valid}");
        }
        for invalid in ["", "Lobby", "a_b", "a.b", "a/b", "방", &"x".repeat(MAX_ROOM + 1)] {
            assert!(!is_room(invalid), "{invalid}");
        }
    }

    #[test]
    fn texts_are_normalized_and_counted_in_characters() {
        assert_eq!(normalize_text(" \u{7}a\r\n\tb \n"), "a\n\tb");
        assert_eq!(normalize_text("\u{200b}\u{3164} \u{202e}"), "");
        assert_eq!(check_text(""), Err(reason_code::EMPTY));
        assert_eq!(check_text(&"가".repeat(MAX_MESSAGE_CHARS)), Ok(()));
        assert_eq!(
            check_text(&"a".repeat(MAX_MESSAGE_CHARS + 1)),
            Err(reason_code::TOO_LONG)
        );
    }
}
