//! The rooms' server half: who may enter, and what a command does. Pure.

use super::model::{Entry, KEPT, KEPT_BYTES, MAX_REACTIONS, MAX_ROOMS, Message, Room, RoomList};
use super::wire::{
    ALL_ROOMS, Chat, ChatCommand, ChatEvent, Emoji, LOBBY, MAX_LINE, MAX_TEXT, MAX_TITLE, Reply, Rooms, RoomsCommand,
    RoomsEvent, check_text, is_room, room_path, why,
};
use crate::apps::server::AppServer;
use crate::server::forms::CommandForm;
use crate::server::names::tidy::{tidy_line, tidy_text};
use duplex_hub::TopicCommand;
use duplex_hub::decider::{Access, Context, Decider, Forward, Makes, Millis, NoCommand, Origin, Principal, Redaction};
use duplex_hub::kind;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::{Topic as _, TopicName};

pub fn app() -> AppServer {
    AppServer {
        kinds: vec![kind(Chat), kind(Rooms)],
        command_forms: forms().to_vec(),
        closing: Some(closing),
        ..AppServer::default()
    }
}

/// One person posts at most so many messages in a room within [`POSTS_WITHIN`].
const POSTS: usize = 10;
const POSTS_WITHIN: Millis = 10_000;

// What the state keeps is enough to count one person's newest posts.
const _: () = assert!(POSTS <= KEPT && POSTS * MAX_TEXT * 4 <= KEPT_BYTES);

/// The composer and the form for a new room, for browsers that run no scripts.
pub fn forms() -> [CommandForm; 2] {
    ["/chat", "/chat/{room}"].map(|path| CommandForm {
        path,
        command: |path, fields| {
            if let Some(room) = fields.get("room") {
                let create = RoomsCommand::Create {
                    room: room.trim().to_owned(),
                    title: fields.get("title")?.clone(),
                };
                return TopicCommand::to::<Rooms>(ALL_ROOMS, &create).ok();
            }
            let room = path.strip_prefix("/chat/").unwrap_or(LOBBY);
            let post = ChatCommand::Post {
                text: fields.get("message")?.clone(),
                reply_to: None,
            };
            TopicCommand::to::<Chat>(room, &post).ok()
        },
        then: |path, fields| {
            let made = fields.get("room").map(|room| room_path(room.trim()));
            made.unwrap_or_else(|| path.to_owned())
        },
    })
}

/// A room is told that it is deleted, and so is the list. The lobby stays.
pub fn closing(topic: &TopicName) -> Option<Vec<TopicCommand>> {
    let room = topic.rest();
    if topic.kind() != Chat::KIND || !is_room(room) || room == LOBBY {
        return None;
    }
    let to_room = TopicCommand::to::<Chat>(room, &ChatCommand::Close).ok()?;
    let room = room.to_owned();
    let to_list = TopicCommand::to::<Rooms>(ALL_ROOMS, &RoomsCommand::Delete { room }).ok()?;
    Some(vec![to_room, to_list])
}

impl Decider for Chat {
    type ServerCommand = NoCommand;

    /// Any well-formed room: which ones exist is known to the list of rooms, and the page asks there.
    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if is_room(topic.rest()) {
            Ok(Access::Write)
        } else {
            Err(Denied::Unknown)
        }
    }

    fn decide(&self, at: Context<'_>, room: &Room, command: ChatCommand) -> Result<Vec<ChatEvent>, Rejection> {
        if room.closed && !matches!(command, ChatCommand::Close) {
            return Err(Rejection::refused(why::ROOM_GONE));
        }
        match command {
            ChatCommand::Close if at.origin == Origin::Server => Ok(close(at, room)),
            ChatCommand::Close => Err(Rejection::refused(why::NOT_FOR_YOU)),
            ChatCommand::Post { text, reply_to } => post(at, room, &text, reply_to),
            ChatCommand::Edit { seq, text } => edit(at, room, seq, &text),
            ChatCommand::Delete { seq } => delete(at, room, seq),
            ChatCommand::React { seq, emoji, on } => react(at, room, seq, emoji, on),
        }
    }

    /// Other rooms are there once the list of rooms has them, or once they were written in.
    fn stands(&self, topic: &TopicName) -> bool {
        topic.rest() == LOBBY
    }

    fn listed_in(&self) -> Option<TopicName> {
        TopicName::of::<Rooms>(ALL_ROOMS).ok()
    }

    /// Who deletes a message wants its text gone, not only out of sight.
    fn redacts(&self, _room: &Room, event: &ChatEvent) -> Redaction {
        match event {
            ChatEvent::Deleted { seq, .. } => Redaction::Events(vec![*seq]),
            ChatEvent::Closed { .. } => Redaction::Everything,
            _ => Redaction::Nothing,
        }
    }

    fn redacted(&self, mut event: ChatEvent) -> ChatEvent {
        if let ChatEvent::Posted { text, .. } | ChatEvent::Edited { text, .. } = &mut event {
            text.clear();
        }
        event
    }

    fn forward(&self, topic: &TopicName, _room: &Room, _seq: Seq, event: &ChatEvent) -> Vec<Forward> {
        let ChatEvent::Posted { number, at, .. } = event else {
            return Vec::new();
        };
        let posted = RoomsCommand::Posted {
            room: topic.rest().to_owned(),
            count: *number,
            at: *at,
        };
        Forward::to::<Rooms>(ALL_ROOMS, &posted).into_iter().collect()
    }
}

fn post(at: Context<'_>, room: &Room, typed: &str, reply_to: Option<Seq>) -> Result<Vec<ChatEvent>, Rejection> {
    let text = tidy_text(typed);
    check_text(&text).map_err(Rejection::refused)?;
    let reply_to = reply_to.map(|seq| answered(room, seq)).transpose()?;
    slow_down(at, room)?;
    Ok(vec![ChatEvent::Posted {
        number: room.count.saturating_add(1),
        by: at.who.clone(),
        at: at.now,
        text,
        reply_to,
    }])
}

fn answered(room: &Room, seq: Seq) -> Result<Reply, Rejection> {
    let message = recent(room, seq)?;
    Ok(Reply {
        seq,
        to: message.by.clone(),
    })
}

/// Judged by the times of this person's messages among the newest of the room: the state is enough. A message of a time that has not
/// come yet is from before the clock was set back, and does not count: nobody could say for how long it should.
fn slow_down(at: Context<'_>, room: &Room) -> Result<(), Rejection> {
    let own = room.messages.iter().rev().filter(|message| message.by.id == at.who.id);
    let past = own.map(|message| message.at).filter(|time| *time <= at.now);
    let Some(first) = past.take(POSTS).nth(POSTS - 1) else {
        return Ok(());
    };
    let wait = first.saturating_add(POSTS_WITHIN).saturating_sub(at.now);
    match u32::try_from(wait) {
        Ok(0) | Err(_) => Ok(()),
        Ok(retry_after_ms) => Err(Rejection::TooFast { retry_after_ms }),
    }
}

fn recent(room: &Room, seq: Seq) -> Result<&Message, Rejection> {
    let message = room.message(seq).ok_or_else(|| Rejection::refused(why::TOO_OLD))?;
    if message.is_deleted() {
        return Err(Rejection::refused(why::DELETED));
    }
    Ok(message)
}

fn own<'a>(at: Context<'_>, room: &'a Room, seq: Seq) -> Result<&'a Message, Rejection> {
    let message = room.message(seq).ok_or_else(|| Rejection::refused(why::TOO_OLD))?;
    if message.by.id != at.who.id {
        return Err(Rejection::refused(why::NOT_YOURS));
    }
    Ok(message)
}

fn edit(at: Context<'_>, room: &Room, seq: Seq, typed: &str) -> Result<Vec<ChatEvent>, Rejection> {
    let text = tidy_text(typed);
    check_text(&text).map_err(Rejection::refused)?;
    let message = own(at, room, seq)?;
    if message.is_deleted() {
        return Err(Rejection::refused(why::DELETED));
    }
    if message.text == text {
        return Ok(Vec::new());
    }
    Ok(vec![ChatEvent::Edited {
        seq,
        by: at.who.clone(),
        at: at.now,
        text,
    }])
}

/// An operator deletes what anybody said, also what is too old to be in the state: the log has it.
fn delete(at: Context<'_>, room: &Room, seq: Seq) -> Result<Vec<ChatEvent>, Rejection> {
    let is_old = || room.messages.front().is_some_and(|first| (1..first.seq).contains(&seq));
    let message = match at.authority.operator {
        true if is_old() => None,
        true => Some(room.message(seq).ok_or_else(|| Rejection::refused(why::TOO_OLD))?),
        false => Some(own(at, room, seq)?),
    };
    if message.is_some_and(Message::is_deleted) {
        return Ok(Vec::new());
    }
    Ok(vec![ChatEvent::Deleted {
        seq,
        by: at.who.clone(),
        at: at.now,
    }])
}

fn close(at: Context<'_>, room: &Room) -> Vec<ChatEvent> {
    if room.closed {
        return Vec::new();
    }
    vec![ChatEvent::Closed { at: at.now }]
}

fn react(at: Context<'_>, room: &Room, seq: Seq, emoji: Emoji, on: bool) -> Result<Vec<ChatEvent>, Rejection> {
    let message = recent(room, seq)?;
    if message.has_reaction(emoji, &at.who.id) == on {
        return Ok(Vec::new());
    }
    if on && message.reactions.len() >= MAX_REACTIONS {
        return Err(Rejection::refused(why::REACTIONS_FULL));
    }
    Ok(vec![ChatEvent::Reacted {
        seq,
        by: at.who.clone(),
        at: at.now,
        emoji,
        on,
    }])
}

impl Decider for Rooms {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if topic.rest() == ALL_ROOMS {
            Ok(Access::Write)
        } else {
            Err(Denied::Unknown)
        }
    }

    fn decide(&self, at: Context<'_>, list: &RoomList, command: RoomsCommand) -> Result<Vec<RoomsEvent>, Rejection> {
        match command {
            RoomsCommand::Create { room, title } => create(at, list, room, &title),
            RoomsCommand::Describe { room, line } => describe(at, list, room, &line),
            RoomsCommand::Posted { room, count, at: time } => posted(at, list, room, count, time),
            RoomsCommand::Delete { room } => remove(at, list, room),
        }
    }

    /// What was written about a deleted room stands in the events before; the state has the rest of the list.
    fn redacts(&self, _list: &RoomList, event: &RoomsEvent) -> Redaction {
        match event {
            RoomsEvent::Deleted { .. } => Redaction::Everything,
            _ => Redaction::Nothing,
        }
    }

    fn lists(list: &RoomList, topic: &TopicName) -> bool {
        topic.kind() == Chat::KIND && list.rooms.contains_key(topic.rest())
    }

    const MAKES: bool = true;

    fn makes(command: &RoomsCommand) -> Option<Makes> {
        matches!(command, RoomsCommand::Create { .. }).then_some(Makes::ForAll)
    }

    /// Who stands before a room that was not there is in it from now on.
    fn forward(&self, _topic: &TopicName, _list: &RoomList, _seq: Seq, event: &RoomsEvent) -> Vec<Forward> {
        let RoomsEvent::Created { room, .. } = event else {
            return Vec::new();
        };
        Forward::start::<Chat>(room).into_iter().collect()
    }
}

fn create(at: Context<'_>, list: &RoomList, room: String, title: &str) -> Result<Vec<RoomsEvent>, Rejection> {
    let title = tidy_line(title, MAX_TITLE + 1);
    if !is_room(&room) {
        return Err(Rejection::refused(why::BAD_ROOM));
    }
    if !(1..=MAX_TITLE).contains(&title.chars().count()) {
        return Err(Rejection::refused(why::BAD_TITLE));
    }
    if list.is_gone(&room) {
        return Err(Rejection::refused(why::ROOM_GONE));
    }
    if list.rooms.contains_key(&room) {
        return Err(Rejection::refused(why::ROOM_TAKEN));
    }
    if list.rooms.len() >= MAX_ROOMS {
        return Err(Rejection::refused(why::ROOMS_FULL));
    }
    Ok(vec![RoomsEvent::Created {
        room,
        title,
        by: at.who.clone(),
        at: at.now,
    }])
}

fn describe(at: Context<'_>, list: &RoomList, room: String, line: &str) -> Result<Vec<RoomsEvent>, Rejection> {
    let line = tidy_line(line, MAX_LINE + 1);
    if line.chars().count() > MAX_LINE {
        return Err(Rejection::refused(why::BAD_LINE));
    }
    if known(list, &room)?.line == line {
        return Ok(Vec::new());
    }
    Ok(vec![RoomsEvent::Described {
        room,
        line,
        by: at.who.clone(),
        at: at.now,
    }])
}

fn posted(
    at: Context<'_>,
    list: &RoomList,
    room: String,
    count: u64,
    time: Millis,
) -> Result<Vec<RoomsEvent>, Rejection> {
    if at.origin != Origin::Server {
        return Err(Rejection::refused(why::NOT_FOR_YOU));
    }
    match list.rooms.get(&room) {
        Some(entry) if entry.count < count => Ok(vec![RoomsEvent::Posted { room, count, at: time }]),
        _ => Ok(Vec::new()),
    }
}

fn remove(at: Context<'_>, list: &RoomList, room: String) -> Result<Vec<RoomsEvent>, Rejection> {
    if at.origin != Origin::Server {
        return Err(Rejection::refused(why::NOT_FOR_YOU));
    }
    if room == LOBBY || !is_room(&room) || list.is_gone(&room) {
        return Ok(Vec::new());
    }
    Ok(vec![RoomsEvent::Deleted { room, at: at.now }])
}

fn known<'a>(list: &'a RoomList, room: &str) -> Result<&'a Entry, Rejection> {
    list.rooms.get(room).ok_or_else(|| Rejection::refused(why::NO_ROOM))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::apps::chat::model::{fold_history, tell};
    use crate::apps::chat::wire::MAX_ROOM;
    use duplex_hub::testing::DeciderHarness as Place;
    use duplex_protocol::codec::Encoding;
    use duplex_protocol::person::{Person, PersonId};
    use duplex_protocol::topic::Topic;

    fn person(id: u8) -> Person {
        Person {
            id: PersonId(format!("{id:016x}")),
            name: format!("P{id}"),
        }
    }

    fn words(text: &str) -> ChatCommand {
        ChatCommand::Post {
            text: text.to_owned(),
            reply_to: None,
        }
    }

    fn refused<T>(why: &str) -> Result<T, Rejection> {
        Err(Rejection::refused(why))
    }

    #[test]
    fn a_message_is_tidied_and_has_its_length() {
        let mut room = Place::new(Chat, LOBBY);
        assert_eq!(room.say(&person(1), words(" \n ")), refused(why::EMPTY));
        assert_eq!(
            room.say(&person(1), words(&"a".repeat(MAX_TEXT + 1))),
            refused(why::TOO_LONG)
        );
        assert_eq!(room.say(&person(1), words(" hi ")), Ok(()));
        assert_eq!(room.state.messages[0].text, "hi");
    }

    #[test]
    fn only_ones_own_message_is_edited_or_deleted() {
        let mut room = Place::new(Chat, LOBBY);
        room.say(&person(1), words("mine")).unwrap();
        let edit = |seq| ChatCommand::Edit {
            seq,
            text: "other".to_owned(),
        };
        let delete = ChatCommand::Delete { seq: 1 };
        assert_eq!(room.say(&person(2), edit(1)), refused(why::NOT_YOURS));
        assert_eq!(room.say(&person(2), delete.clone()), refused(why::NOT_YOURS));
        assert_eq!(room.say(&person(1), edit(7)), refused(why::TOO_OLD));
        assert_eq!(room.say(&person(1), edit(1)), Ok(()));
        assert_eq!(room.say(&person(1), edit(1)), Ok(()), "the same text is no event");
        assert_eq!(room.log.len(), 2);
        assert_eq!(room.say(&person(1), delete.clone()), Ok(()));
        assert_eq!(room.say(&person(1), delete), Ok(()), "deleted once");
        assert_eq!(room.log.len(), 3);
        assert_eq!(room.say(&person(1), edit(1)), refused(why::DELETED));
    }

    #[test]
    fn an_operator_deletes_what_anybody_said() {
        let mut room = Place::new(Chat, LOBBY);
        for number in 0..KEPT as Millis + 2 {
            room.say(&person((number % 50) as u8), words("x")).unwrap();
            room.now += POSTS_WITHIN;
        }
        let delete = |seq| ChatCommand::Delete { seq };
        assert_eq!(room.say(&person(60), delete(1)), refused(why::TOO_OLD));
        assert_eq!(room.say(&person(60), delete(90)), refused(why::NOT_YOURS));
        room.authority = duplex_hub::Authority::OPERATOR;
        for (seq, events) in [(1, 1), (90, 1), (90, 0)] {
            assert_eq!(room.made(&person(60), delete(seq)), Ok(events), "{seq}");
        }
        for wrong in [0, KEPT as Seq + 9] {
            assert_eq!(room.made(&person(60), delete(wrong)), refused(why::TOO_OLD));
        }
        let (_, event) = room.log.last().unwrap();
        assert_eq!(Chat.redacts(&room.state, event), Redaction::Events(vec![90]));
    }

    #[test]
    fn a_closed_room_takes_nothing_and_its_name_is_not_given_again() {
        let (mut room, mut rooms) = (Place::new(Chat, "a"), Place::new(Rooms, ALL_ROOMS));
        rooms.say(&person(1), create("a")).unwrap();
        room.say(&person(1), words("secret")).unwrap();
        room.authority = duplex_hub::Authority::OPERATOR;
        assert_eq!(room.say(&person(1), ChatCommand::Close), refused(why::NOT_FOR_YOU));
        let told = closing(&room.topic).unwrap();
        let close = told[0].decode::<Chat>().unwrap();
        let remove = told[1].decode::<Rooms>().unwrap();
        for _ in 0..2 {
            room.say(Principal::server(), close.clone()).unwrap();
            rooms.say(Principal::server(), remove.clone()).unwrap();
        }
        assert_eq!((room.log.len(), rooms.log.len()), (2, 2), "told again, it does no harm");
        assert_eq!(Chat.redacts(&room.state, &room.log[1].1), Redaction::Everything);
        assert_eq!(Rooms.redacts(&rooms.state, &rooms.log[1].1), Redaction::Everything);
        assert!(room.state.messages.is_empty() && !rooms.state.rooms.contains_key("a"));
        assert_eq!(room.say(&person(1), words("again")), refused(why::ROOM_GONE));
        assert_eq!(rooms.say(&person(1), create("a")), refused(why::ROOM_GONE));
        assert_eq!(closing(&TopicName::of::<Chat>(LOBBY).unwrap()), None);
    }

    #[test]
    fn an_answer_names_whom_it_answers() {
        let mut room = Place::new(Chat, LOBBY);
        room.say(&person(1), words("a")).unwrap();
        let answer = |to| ChatCommand::Post {
            text: "b".to_owned(),
            reply_to: Some(to),
        };
        room.say(&person(2), answer(1)).unwrap();
        assert_eq!(room.state.messages[1].reply_to, Some(Reply { seq: 1, to: person(1) }));
        assert_eq!(room.say(&person(2), answer(9)), refused(why::TOO_OLD));
    }

    #[test]
    fn reactions_go_on_and_off_and_have_their_limit() {
        let mut room = Place::new(Chat, LOBBY);
        room.say(&person(0), words("a")).unwrap();
        let react = |emoji, on| ChatCommand::React { seq: 1, emoji, on };
        for id in 0..MAX_REACTIONS {
            room.say(&person(id as u8), react(Emoji::Yes, true)).unwrap();
        }
        assert_eq!(
            room.say(&person(200), react(Emoji::Yes, true)),
            refused(why::REACTIONS_FULL)
        );
        room.say(&person(3), react(Emoji::Yes, false)).unwrap();
        assert_eq!(room.say(&person(200), react(Emoji::Party, true)), Ok(()));
        assert_eq!(room.state.messages[0].emojis(), [Emoji::Yes, Emoji::Party]);
    }

    #[test]
    fn who_posts_too_fast_waits_and_nobody_else_does() {
        let mut room = Place::new(Chat, LOBBY);
        for _ in 0..POSTS {
            room.say(&person(1), words("x")).unwrap();
            room.now += 100;
        }
        let wait = (POSTS_WITHIN - POSTS as Millis * 100) as u32;
        assert_eq!(
            room.say(&person(1), words("x")),
            Err(Rejection::TooFast { retry_after_ms: wait })
        );
        assert_eq!(room.say(&person(2), words("y")), Ok(()));
        room.now += Millis::from(wait);
        assert_eq!(room.say(&person(1), words("x")), Ok(()));
    }

    #[test]
    fn a_clock_set_back_silences_nobody() {
        let mut room = Place::new(Chat, LOBBY);
        let start = 1_800_000_000_000;
        room.now = start;
        (0..POSTS).for_each(|_| room.say(&person(1), words("x")).unwrap());
        for back in [1, 60 * 60 * 1000, start] {
            room.now = start - back;
            // The limit is what it was, of what is said from now on.
            (0..POSTS).for_each(|_| room.say(&person(1), words("x")).unwrap());
            let limit = Rejection::TooFast {
                retry_after_ms: POSTS_WITHIN as u32,
            };
            assert_eq!(room.say(&person(1), words("x")), Err(limit));
        }
    }

    #[test]
    fn a_plain_form_posts_to_the_room_of_its_page() {
        let fields = [("message".to_owned(), "hi".to_owned())].into();
        for (path, topic) in [("/chat", "chat/lobby"), ("/chat/room-1", "chat/room-1")] {
            let command = (forms()[0].command)(path, &fields).unwrap();
            assert_eq!(command.topic().as_str(), topic);
            assert_eq!(command.decode::<Chat>(), Ok(words("hi")));
        }
        assert_eq!((forms()[1].command)("/chat/A", &fields), None);
    }

    #[test]
    fn rooms_are_named_well() {
        let admits = |rest: &str| Chat.admit(Principal::visitor(&person(1)), &TopicName::of::<Chat>(rest).unwrap());
        assert_eq!(admits("room-1"), Ok(Access::Write));
        for wrong in ["a_b", "a.b", "a/b", &"x".repeat(MAX_ROOM + 1)] {
            assert_eq!(admits(wrong), Err(Denied::Unknown), "{wrong}");
        }
        assert_eq!(
            Rooms.admit(Principal::visitor(&person(1)), &TopicName::of::<Rooms>("some").unwrap()),
            Err(Denied::Unknown)
        );
    }

    fn create(room: &str) -> RoomsCommand {
        RoomsCommand::Create {
            room: room.to_owned(),
            title: "A room".to_owned(),
        }
    }

    #[test]
    fn a_room_is_created_once_and_described_by_anybody() {
        let mut rooms = Place::new(Rooms, ALL_ROOMS);
        assert_eq!(rooms.say(&person(1), create("A")), refused(why::BAD_ROOM));
        assert_eq!(rooms.say(&person(1), create("a")), Ok(()));
        assert_eq!(rooms.say(&person(2), create("a")), refused(why::ROOM_TAKEN));
        assert_eq!(rooms.say(&person(2), create(LOBBY)), refused(why::ROOM_TAKEN));
        let untitled = RoomsCommand::Create {
            room: "b".to_owned(),
            title: " ".to_owned(),
        };
        assert_eq!(rooms.say(&person(2), untitled), refused(why::BAD_TITLE));
        let describe = |room: &str, length| RoomsCommand::Describe {
            room: room.to_owned(),
            line: "가".repeat(length),
        };
        assert_eq!(rooms.say(&person(2), describe("a", MAX_LINE)), Ok(()));
        assert_eq!(
            rooms.say(&person(2), describe("a", MAX_LINE + 1)),
            refused(why::BAD_LINE)
        );
        assert_eq!(rooms.say(&person(2), describe("none", 1)), refused(why::NO_ROOM));
    }

    #[test]
    fn there_are_only_so_many_rooms() {
        let mut rooms = Place::new(Rooms, ALL_ROOMS);
        for number in 1..MAX_ROOMS {
            rooms.say(&person(1), create(&format!("r{number}"))).unwrap();
        }
        assert_eq!(rooms.say(&person(1), create("more")), refused(why::ROOMS_FULL));
    }

    #[test]
    fn a_room_tells_the_list_its_count_and_only_the_server_may() {
        let mut room = Place::new(Chat, LOBBY);
        room.say(&person(1), words("x")).unwrap();
        let (seq, event) = &room.log[0];
        let told = Chat.forward(&room.topic, &room.state, *seq, event);
        let told = told[0].command();
        assert_eq!(told.topic().as_str(), "rooms/all");
        assert_eq!(
            told.json(),
            format!(r#"{{"posted":{{"at":{},"count":1,"room":"lobby"}}}}"#, room.now)
        );
        let command = told.decode::<Rooms>().unwrap();
        let mut rooms = Place::new(Rooms, ALL_ROOMS);
        assert_eq!(rooms.say(&person(1), command.clone()), refused(why::NOT_FOR_YOU));
        rooms.say(Principal::server(), command.clone()).unwrap();
        rooms.say(Principal::server(), command).unwrap();
        assert_eq!(
            (rooms.state.rooms[LOBBY].count, rooms.log.len()),
            (1, 1),
            "told again, it does no harm"
        );
    }

    fn commands() -> impl Strategy<Value = (u8, u64, ChatCommand)> {
        let emoji = (0..Emoji::ALL.len()).prop_map(|index| Emoji::ALL[index]);
        let command = prop_oneof![
            4 => ("[a-c가 ]{0,6}", prop::option::weighted(0.2, 1..200_u64)).prop_map(|(text, reply_to)| ChatCommand::Post { text, reply_to }),
            1 => Just(words(&"가".repeat(MAX_TEXT))),
            2 => (1..200_u64, "[a-c]{0,6}").prop_map(|(seq, text)| ChatCommand::Edit { seq, text }),
            1 => (1..200_u64).prop_map(|seq| ChatCommand::Delete { seq }),
            3 => (1..200_u64, emoji, any::<bool>()).prop_map(|(seq, emoji, on)| ChatCommand::React { seq, emoji, on }),
        ];
        (0..5_u8, 0..4_000_u64, command)
    }

    /// A page of history, as a log gives it.
    fn page(log: &[(Seq, ChatEvent)], before: Seq, limit: usize) -> Vec<(Seq, ChatEvent)> {
        let own = log
            .iter()
            .filter(|(seq, event)| *seq < before && Chat::amends(event).is_none());
        let newest: Vec<Seq> = own.map(|(seq, _)| *seq).rev().take(limit).collect();
        let wanted = |(seq, event): &&(Seq, ChatEvent)| {
            newest.contains(seq) || Chat::amends(event).is_some_and(|amended| newest.contains(&amended))
        };
        log.iter().filter(wanted).cloned().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is asked: the bounds hold, and pages of history, read backwards, are what was lived through.
        #[test]
        fn a_room_keeps_its_bounds_and_its_history(commands in prop::collection::vec(commands(), 0..300), limit in 1..60_usize) {
            let mut room = Place::new(Chat, LOBBY);
            let mut lived = VecDeque::new();
            for (who, later, command) in commands {
                room.now += later;
                let already = room.log.len();
                let _ = room.say(&person(who), command);
                for (seq, event) in &room.log[already..] { tell(&mut lived, *seq, event); }
                let bytes: usize = room.state.messages.iter().map(|message| message.text.len()).sum();
                prop_assert!(room.state.messages.len() <= KEPT && bytes <= KEPT_BYTES);
            }
            prop_assert_eq!(room.state.count, lived.len() as u64);
            let tail: Vec<_> = lived.iter().skip(lived.len() - room.state.messages.len()).collect();
            prop_assert!(tail.into_iter().eq(&room.state.messages));
            let (mut before, mut read) = (Seq::MAX, VecDeque::new());
            loop {
                let older = fold_history(&page(&room.log, before, limit));
                let Some(first) = older.front() else { break };
                before = first.seq;
                for message in older.into_iter().rev() { read.push_front(message); }
            }
            prop_assert_eq!(read, lived);
        }

        #[test]
        fn a_state_is_the_same_in_both_encodings(commands in prop::collection::vec(commands(), 0..40)) {
            let mut room = Place::new(Chat, LOBBY);
            for (who, later, command) in commands {
                room.now += later;
                let _ = room.say(&person(who), command);
            }
            for encoding in Encoding::ALL {
                let bytes = encoding.encode(&room.state).unwrap();
                prop_assert_eq!(&encoding.decode::<Room>(&bytes).unwrap(), &room.state);
            }
        }
    }
}
