//! What follows from the events of a room and of the list of rooms: the same on the server and in the browser.
//! Pure; trusts no event.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::wire::{Chat, ChatCommand, ChatEvent, Emoji, LOBBY, Millis, Reply, Rooms, RoomsCommand, RoomsEvent};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::topic::Topic;

/// Messages of a room's state: what a page shows at first, and what may still be amended.
pub const KEPT: usize = 100;
/// Bytes of all their texts: a state travels whole. It holds more of the longest messages than somebody may post in one
/// go, or the decider could not count them.
pub const KEPT_BYTES: usize = 256 << 10;
/// Reactions of one message, of all kinds together. Who reacted must be known exactly, or a reaction sent twice would count twice.
pub const MAX_REACTIONS: usize = 100;
pub const MAX_ROOMS: usize = 500;
/// Older ones stay closed all the same; only the list forgets why.
pub const MAX_GONE: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub seq: Seq,
    /// Its place in the room, from 1.
    pub number: u64,
    pub by: Person,
    pub at: Millis,
    /// Empty when it was deleted.
    pub text: String,
    pub reply_to: Option<Reply>,
    pub changed: Change,
    /// In the order in which they came.
    pub reactions: Vec<Reaction>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
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
        matches!(self.changed, Change::Deleted(_))
    }

    pub fn has_reaction(&self, emoji: Emoji, by: &PersonId) -> bool {
        self.reactions.iter().any(|one| one.emoji == emoji && one.by.id == *by)
    }

    /// The kinds in which people reacted, in the order in which each first came.
    pub fn emojis(&self) -> Vec<Emoji> {
        let mut emojis = Vec::new();
        for one in &self.reactions {
            if !emojis.contains(&one.emoji) {
                emojis.push(one.emoji);
            }
        }
        emojis
    }

    pub fn people(&self, emoji: Emoji) -> Vec<Person> {
        let of_kind = self.reactions.iter().filter(|one| one.emoji == emoji);
        of_kind.map(|one| one.by.clone()).collect()
    }

    /// A deleted message stays as it is.
    pub fn amend(&mut self, event: &ChatEvent) {
        if self.is_deleted() {
            return;
        }
        match event {
            ChatEvent::Posted { .. } | ChatEvent::Closed { .. } => {}
            ChatEvent::Edited { at, text, .. } => {
                text.clone_into(&mut self.text);
                self.changed = Change::Edited(*at);
            }
            ChatEvent::Deleted { at, .. } => {
                self.text.clear();
                self.reactions.clear();
                self.changed = Change::Deleted(*at);
            }
            ChatEvent::Reacted { emoji, by, on, .. } => self.react(*emoji, by, *on),
        }
    }

    fn react(&mut self, emoji: Emoji, by: &Person, on: bool) {
        self.reactions
            .retain(|one| on || one.emoji != emoji || one.by.id != by.id);
        if on && !self.has_reaction(emoji, &by.id) && self.reactions.len() < MAX_REACTIONS {
            self.reactions.push(Reaction { emoji, by: by.clone() });
        }
    }
}

/// The message that this event is, at its seq.
pub fn posted(seq: Seq, event: &ChatEvent) -> Option<Message> {
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
        changed: Change::None,
        reactions: Vec::new(),
    })
}

/// Applies an event to messages in the order of their seqs. What is already there, or amends what is not, changes nothing.
pub fn tell(messages: &mut VecDeque<Message>, seq: Seq, event: &ChatEvent) {
    if let Some(message) = posted(seq, event) {
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

/// The messages of a page of history, amended by the events in it.
pub fn fold_history<'a>(events: impl IntoIterator<Item = &'a (Seq, ChatEvent)>) -> VecDeque<Message> {
    let mut messages = VecDeque::new();
    for (seq, event) in events {
        tell(&mut messages, *seq, event);
    }
    messages
}

/// A room: its newest messages, and how many were posted at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub count: u64,
    /// By seq; at most [`KEPT`], and [`KEPT_BYTES`] of text if there is more than one.
    pub messages: VecDeque<Message>,
    /// The room is deleted: nothing is said in it any more.
    #[serde(default)]
    pub closed: bool,
}

impl Room {
    pub fn message(&self, seq: Seq) -> Option<&Message> {
        let index = self.messages.binary_search_by_key(&seq, |message| message.seq).ok()?;
        self.messages.get(index)
    }

    /// Lets the oldest go.
    fn trim(&mut self) {
        let mut bytes: usize = self.messages.iter().map(|message| message.text.len()).sum();
        while self.messages.len() > KEPT || (bytes > KEPT_BYTES && self.messages.len() > 1) {
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
        tell(&mut room.messages, seq, event);
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

/// One room in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Empty for the lobby, which is named in the reader's language.
    pub title: String,
    /// What the room is about; may be empty.
    pub line: String,
    pub count: u64,
    /// When the newest message was posted, or the room created.
    pub last: Millis,
}

/// The rooms by name; the lobby is always among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomList {
    pub rooms: BTreeMap<String, Entry>,
    /// The names of the last that were deleted, at most [`MAX_GONE`].
    #[serde(default)]
    pub gone: VecDeque<String>,
}

impl RoomList {
    pub fn is_gone(&self, room: &str) -> bool {
        self.gone.iter().any(|gone| gone == room)
    }

    fn delete(&mut self, room: &str) {
        if room == LOBBY {
            return;
        }
        self.rooms.remove(room);
        if !self.is_gone(room) {
            self.gone.push_back(room.to_owned());
        }
        if self.gone.len() > MAX_GONE {
            self.gone.pop_front();
        }
    }
}

impl Default for RoomList {
    fn default() -> Self {
        Self {
            rooms: BTreeMap::from([(LOBBY.to_owned(), Entry::default())]),
            gone: VecDeque::new(),
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
                if list.rooms.len() < MAX_ROOMS && !list.rooms.contains_key(room) && !list.is_gone(room) {
                    let entry = Entry {
                        title: title.clone(),
                        last: *at,
                        ..Entry::default()
                    };
                    list.rooms.insert(room.clone(), entry);
                }
            }
            RoomsEvent::Described { room, line, .. } => {
                if let Some(entry) = list.rooms.get_mut(room) {
                    line.clone_into(&mut entry.line);
                }
            }
            RoomsEvent::Posted { room, count, at } => {
                if let Some(entry) = list.rooms.get_mut(room)
                    && entry.count < *count
                {
                    entry.count = *count;
                    // They come in their order; a clock that was ahead must not hold a room up.
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

    /// Any events at all, also such as no decider would make.
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
            (room, "[a-c]{0,3}", by, at).prop_map(|(room, line, by, at)| RoomsEvent::Described { room, line, by, at }),
            (room, any::<u64>(), at).prop_map(|(room, count, at)| RoomsEvent::Posted { room, count, at }),
            (room, at).prop_map(|(room, at)| RoomsEvent::Deleted { room, at }),
        ]
    }

    fn say(number: u64, text: &str) -> ChatEvent {
        ChatEvent::Posted {
            number,
            by: person(1),
            at: number,
            text: text.to_owned(),
            reply_to: None,
        }
    }

    #[test]
    fn only_the_newest_are_kept_and_all_are_counted() {
        let mut room = Room::default();
        for number in 1..=KEPT as u64 + 3 {
            Chat::apply(&mut room, number * 2, &say(number, "x"));
        }
        assert_eq!((room.messages.len(), room.count), (KEPT, KEPT as u64 + 3));
        assert!(room.message(6).is_none() && room.message(8).is_some());
    }

    #[test]
    fn long_messages_let_older_ones_go_but_the_newest_stays() {
        let mut room = Room::default();
        let long = "x".repeat(KEPT_BYTES / 2);
        for number in 1..=3 {
            Chat::apply(&mut room, number, &say(number, &long));
        }
        assert_eq!(room.messages.len(), 2);
        Chat::apply(&mut room, 4, &say(4, &"x".repeat(KEPT_BYTES + 1)));
        assert_eq!(room.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn what_was_deleted_is_gone() {
        let mut room = Room::default();
        let (by, at) = (person(1), 9);
        Chat::apply(&mut room, 1, &say(1, "secret"));
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
    fn the_lobby_is_always_there() {
        assert!(RoomList::default().rooms.contains_key(LOBBY));
    }

    proptest! {
        #[test]
        fn no_event_breaks_a_room(events in prop::collection::vec((0..60_u64, events()), 0..80)) {
            let mut room = Room::default();
            for (seq, event) in &events {
                Chat::apply(&mut room, *seq, event);
                let seqs: Vec<_> = room.messages.iter().map(|message| message.seq).collect();
                prop_assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(room.messages.len() <= KEPT);
                prop_assert!(room.messages.iter().all(|message| message.reactions.len() <= MAX_REACTIONS));
                let before = room.clone();
                Chat::apply(&mut room, *seq, event);
                prop_assert_eq!(&before, &room, "an event told again changes nothing");
            }
        }

        #[test]
        fn no_event_breaks_the_list(events in prop::collection::vec(room_events(), 0..80)) {
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
