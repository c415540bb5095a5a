//! The states of a room and of the room list, and their `apply`; shared by server and client. Pure; tolerates invalid events.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::wire::{Chat, ChatCommand, ChatEvent, Emoji, LOBBY, Millis, Reply, Rooms, RoomsCommand, RoomsEvent};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::topic::Topic;

/// The number of messages in a room's state: a page shows these first, and only these can be amended (edited, deleted or reacted
/// to).
pub const MAX_MESSAGES: usize = 100;
/// Maximum total text size in bytes, because the state is sent as one message. Large enough for all messages that the rate limit
/// lets one person post, so the decider can count them.
pub const MAX_TEXT_BYTES: usize = 256 << 10;
/// Maximum number of reactions to a message. Each is stored with its person, so that a repeated one does not count twice.
pub const MAX_REACTIONS: usize = 100;
pub const MAX_ROOMS: usize = 500;
/// The number of deleted names that the list remembers. Rooms deleted earlier stay closed, but the list no longer records the
/// deletion.
pub const MAX_DELETED_ROOMS: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message's id.
    pub seq: Seq,
    /// The message's number in the room, from 1.
    pub number: u64,
    pub by: Person,
    pub at: Millis,
    /// Empty once the message is deleted.
    pub text: String,
    pub reply_to: Option<Reply>,
    pub changed: Revision,
    /// In the order of arrival.
    pub reactions: Vec<Reaction>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revision {
    #[default]
    None,
    Edited(Millis),
    Deleted(Millis),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub emoji: Emoji,
    pub by: Person,
}

impl Message {
    pub const fn is_deleted(&self) -> bool {
        matches!(self.changed, Revision::Deleted(_))
    }

    pub fn has_reaction(&self, emoji: Emoji, by: &PersonId) -> bool {
        self.reactions
            .iter()
            .any(|reaction| reaction.emoji == emoji && reaction.by.id == *by)
    }

    /// The distinct emojis of the reactions, in the order in which each first arrived.
    pub fn emojis(&self) -> Vec<Emoji> {
        let mut emojis = Vec::new();
        for reaction in &self.reactions {
            if !emojis.contains(&reaction.emoji) {
                emojis.push(reaction.emoji);
            }
        }
        emojis
    }

    pub fn people(&self, emoji: Emoji) -> Vec<Person> {
        let matching = self.reactions.iter().filter(|reaction| reaction.emoji == emoji);
        matching.map(|reaction| reaction.by.clone()).collect()
    }

    /// Applies an event that amends this message; a deleted message no longer changes.
    pub fn amend(&mut self, event: &ChatEvent) {
        if self.is_deleted() {
            return;
        }
        match event {
            ChatEvent::Posted { .. } | ChatEvent::Closed { .. } => {}
            ChatEvent::Edited { at, text, .. } => {
                text.clone_into(&mut self.text);
                self.changed = Revision::Edited(*at);
            }
            ChatEvent::Deleted { at, .. } => {
                self.text.clear();
                self.reactions.clear();
                self.changed = Revision::Deleted(*at);
            }
            ChatEvent::Reacted { emoji, by, on, .. } => self.react(*emoji, by, *on),
        }
    }

    fn react(&mut self, emoji: Emoji, by: &Person, on: bool) {
        self.reactions
            .retain(|reaction| on || reaction.emoji != emoji || reaction.by.id != by.id);
        if on && !self.has_reaction(emoji, &by.id) && self.reactions.len() < MAX_REACTIONS {
            self.reactions.push(Reaction { emoji, by: by.clone() });
        }
    }
}

/// The message that an event posts, if it posts one.
pub fn new_message(seq: Seq, event: &ChatEvent) -> Option<Message> {
    let ChatEvent::Posted {
        number,
        by,
        at,
        text,
        reply_to,
    } = event
    else {
        return None;
    };
    Some(Message {
        seq,
        number: *number,
        by: by.clone(),
        at: *at,
        text: text.clone(),
        reply_to: reply_to.clone(),
        changed: Revision::None,
        reactions: Vec::new(),
    })
}

/// Applies an event to messages sorted by seq. An event that is already applied, or that amends a missing message, has no effect.
pub fn apply_event(messages: &mut VecDeque<Message>, seq: Seq, event: &ChatEvent) {
    if let Some(message) = new_message(seq, event) {
        if messages.back().is_none_or(|last| last.seq < seq) {
            messages.push_back(message);
        }
    } else if let Some(amended) = Chat::amends(event)
        && let Ok(index) = messages.binary_search_by_key(&amended, |message| message.seq)
        && let Some(message) = messages.get_mut(index)
    {
        message.amend(event);
    }
}

/// The messages of a page of history, with the amendments in it applied.
pub fn fold_history<'a>(events: impl IntoIterator<Item = &'a (Seq, ChatEvent)>) -> VecDeque<Message> {
    let mut messages = VecDeque::new();
    for (seq, event) in events {
        apply_event(&mut messages, *seq, event);
    }
    messages
}

/// A room's state: its newest messages and the number of all messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub count: u64,
    /// Sorted by seq; at most [`MAX_MESSAGES`], and at most [`MAX_TEXT_BYTES`] of text unless there is only one.
    pub messages: VecDeque<Message>,
    /// The room is deleted and accepts no more messages.
    #[serde(default)]
    pub closed: bool,
}

impl Room {
    pub fn message(&self, seq: Seq) -> Option<&Message> {
        let index = self.messages.binary_search_by_key(&seq, |message| message.seq).ok()?;
        self.messages.get(index)
    }

    /// Drops the oldest messages beyond the limits.
    fn trim(&mut self) {
        let mut bytes: usize = self.messages.iter().map(|message| message.text.len()).sum();
        while self.messages.len() > MAX_MESSAGES || (bytes > MAX_TEXT_BYTES && self.messages.len() > 1) {
            bytes -= self.messages.pop_front().map_or(0, |message| message.text.len());
        }
    }
}

impl Topic for Chat {
    const KIND: &'static str = "chat";

    type Command = ChatCommand;
    type Event = ChatEvent;
    type State = Room;

    fn apply(room: &mut Room, seq: Seq, event: &ChatEvent) {
        apply_event(&mut room.messages, seq, event);
        match event {
            ChatEvent::Posted { number, .. } => room.count = room.count.max(*number),
            ChatEvent::Closed { .. } => (room.messages, room.closed) = (VecDeque::new(), true),
            _ => {}
        }
        room.trim();
    }

    fn amends(event: &ChatEvent) -> Option<Seq> {
        match event {
            ChatEvent::Posted { .. } | ChatEvent::Closed { .. } => None,
            ChatEvent::Edited { seq, .. } | ChatEvent::Deleted { seq, .. } | ChatEvent::Reacted { seq, .. } => {
                Some(*seq)
            }
        }
    }
}

/// A room in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomEntry {
    /// Empty for the lobby, whose title is translated.
    pub title: String,
    /// The room's description; may be empty.
    #[serde(rename = "line")]
    pub description: String,
    pub count: u64,
    /// The time of the newest message, or of the room's creation.
    pub last: Millis,
}

/// All rooms by name; the lobby is always among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomList {
    pub rooms: BTreeMap<String, RoomEntry>,
    /// The names of the last deleted rooms, at most [`MAX_DELETED_ROOMS`].
    #[serde(default, rename = "gone")]
    pub deleted: VecDeque<String>,
}

impl RoomList {
    pub fn is_deleted_room(&self, room: &str) -> bool {
        self.deleted.iter().any(|name| name == room)
    }

    fn delete(&mut self, room: &str) {
        if room == LOBBY {
            return;
        }
        self.rooms.remove(room);
        if !self.is_deleted_room(room) {
            self.deleted.push_back(room.to_owned());
        }
        if self.deleted.len() > MAX_DELETED_ROOMS {
            self.deleted.pop_front();
        }
    }
}

impl Default for RoomList {
    fn default() -> Self {
        Self {
            rooms: BTreeMap::from([(LOBBY.to_owned(), RoomEntry::default())]),
            deleted: VecDeque::new(),
        }
    }
}

impl Topic for Rooms {
    const KIND: &'static str = "rooms";

    type Command = RoomsCommand;
    type Event = RoomsEvent;
    type State = RoomList;

    fn apply(list: &mut RoomList, _seq: Seq, event: &RoomsEvent) {
        match event {
            RoomsEvent::Created { room, title, at, .. } => {
                if list.rooms.len() < MAX_ROOMS && !list.rooms.contains_key(room) && !list.is_deleted_room(room) {
                    let entry = RoomEntry {
                        title: title.clone(),
                        last: *at,
                        ..RoomEntry::default()
                    };
                    list.rooms.insert(room.clone(), entry);
                }
            }
            RoomsEvent::Described { room, description, .. } => {
                if let Some(entry) = list.rooms.get_mut(room) {
                    description.clone_into(&mut entry.description);
                }
            }
            RoomsEvent::Posted { room, count, at } => {
                if let Some(entry) = list.rooms.get_mut(room)
                    && entry.count < *count
                {
                    entry.count = *count;
                    // Events arrive in order, so the last one counts, even after a clock was set back.
                    entry.last = *at;
                }
            }
            RoomsEvent::Deleted { room, .. } => list.delete(room),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person(id: u8) -> Person {
        Person {
            id: PersonId(format!("{id:016x}")),
            name: String::new(),
        }
    }

    fn emojis() -> impl Strategy<Value = Emoji> {
        (0..Emoji::ALL.len()).prop_map(|index| Emoji::ALL[index])
    }

    /// Arbitrary events, including those that no decider would produce.
    fn events() -> impl Strategy<Value = ChatEvent> {
        let (seq, by, at) = (0..40_u64, (0..4_u8).prop_map(person), any::<u64>());
        let reply = prop::option::of((seq.clone(), by.clone()).prop_map(|(seq, to)| Reply { seq, to }));
        prop_oneof![
            (any::<u64>(), by.clone(), at, "[a-c가]{0,9}", reply).prop_map(|(number, by, at, text, reply_to)| {
                ChatEvent::Posted {
                    number,
                    by,
                    at,
                    text,
                    reply_to,
                }
            }),
            (seq.clone(), by.clone(), at, "[a-c가]{0,9}").prop_map(|(seq, by, at, text)| ChatEvent::Edited {
                seq,
                by,
                at,
                text
            }),
            (seq.clone(), by.clone(), at).prop_map(|(seq, by, at)| ChatEvent::Deleted { seq, by, at }),
            (seq, by, at, emojis(), any::<bool>()).prop_map(|(seq, by, at, emoji, on)| ChatEvent::Reacted {
                seq,
                by,
                at,
                emoji,
                on
            }),
        ]
    }

    fn room_events() -> impl Strategy<Value = RoomsEvent> {
        let (room, by, at) = ("[a-c]{1,2}", (0..4_u8).prop_map(person), any::<u64>());
        prop_oneof![
            (room, "[a-c]{0,3}", by.clone(), at).prop_map(|(room, title, by, at)| RoomsEvent::Created {
                room,
                title,
                by,
                at
            }),
            (room, "[a-c]{0,3}", by, at).prop_map(|(room, description, by, at)| RoomsEvent::Described {
                room,
                description,
                by,
                at
            }),
            (room, any::<u64>(), at).prop_map(|(room, count, at)| RoomsEvent::Posted { room, count, at }),
            (room, at).prop_map(|(room, at)| RoomsEvent::Deleted { room, at }),
        ]
    }

    fn posted(number: u64, text: &str) -> ChatEvent {
        ChatEvent::Posted {
            number,
            by: person(1),
            at: number,
            text: text.to_owned(),
            reply_to: None,
        }
    }

    #[test]
    fn only_the_newest_messages_are_kept_and_all_are_counted() {
        let mut room = Room::default();
        for number in 1..=MAX_MESSAGES as u64 + 3 {
            Chat::apply(&mut room, number * 2, &posted(number, "x"));
        }
        assert_eq!(
            (room.messages.len(), room.count),
            (MAX_MESSAGES, MAX_MESSAGES as u64 + 3)
        );
        assert!(room.message(6).is_none() && room.message(8).is_some());
    }

    #[test]
    fn long_messages_evict_older_ones_but_never_the_newest() {
        let mut room = Room::default();
        let long = "x".repeat(MAX_TEXT_BYTES / 2);
        for number in 1..=3 {
            Chat::apply(&mut room, number, &posted(number, &long));
        }
        assert_eq!(room.messages.len(), 2);
        Chat::apply(&mut room, 4, &posted(4, &"x".repeat(MAX_TEXT_BYTES + 1)));
        assert_eq!(room.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_deleted_message_has_no_text_and_no_reactions() {
        let mut room = Room::default();
        let (by, at) = (person(1), 9);
        Chat::apply(&mut room, 1, &posted(1, "secret"));
        let react = |on| ChatEvent::Reacted {
            seq: 1,
            by: person(2),
            at,
            emoji: Emoji::Heart,
            on,
        };
        Chat::apply(&mut room, 2, &react(true));
        assert_eq!(room.messages[0].people(Emoji::Heart), [person(2)]);
        Chat::apply(
            &mut room,
            3,
            &ChatEvent::Deleted {
                seq: 1,
                by: by.clone(),
                at,
            },
        );
        let text = "again".to_owned();
        Chat::apply(&mut room, 4, &ChatEvent::Edited { seq: 1, by, at, text });
        Chat::apply(&mut room, 5, &react(true));
        let message = &room.messages[0];
        assert_eq!(
            (message.text.as_str(), message.reactions.len(), message.is_deleted()),
            ("", 0, true)
        );
    }

    #[test]
    fn the_lobby_always_exists() {
        assert!(RoomList::default().rooms.contains_key(LOBBY));
    }

    proptest! {
        #[test]
        fn events_keep_a_rooms_invariants(events in prop::collection::vec((0..60_u64, events()), 0..80)) {
            let mut room = Room::default();
            for (seq, event) in &events {
                Chat::apply(&mut room, *seq, event);
                let seqs: Vec<_> = room.messages.iter().map(|message| message.seq).collect();
                prop_assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(room.messages.len() <= MAX_MESSAGES);
                prop_assert!(room.messages.iter().all(|message| message.reactions.len() <= MAX_REACTIONS));
                let before = room.clone();
                Chat::apply(&mut room, *seq, event);
                prop_assert_eq!(&before, &room, "a repeated event changes nothing");
            }
        }

        #[test]
        fn events_keep_the_lists_invariants(events in prop::collection::vec(room_events(), 0..80)) {
            let mut list = RoomList::default();
            for event in &events {
                Rooms::apply(&mut list, 1, event);
                let before = list.clone();
                Rooms::apply(&mut list, 1, event);
                prop_assert_eq!(&before, &list);
            }
            prop_assert!(list.rooms.len() <= MAX_ROOMS && list.rooms.contains_key(LOBBY));
        }
    }
}
