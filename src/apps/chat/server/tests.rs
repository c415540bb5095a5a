//! Tests of the deciders without a hub.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::apps::chat::model::{apply_event, fold_history};
use crate::apps::chat::wire::MAX_ROOM;
use duplex_hub::testing::DeciderHarness;
use duplex_protocol::codec::Encoding;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::topic::Topic;

fn person(id: u8) -> Person {
    Person {
        id: PersonId(format!("{id:016x}")),
        name: format!("P{id}"),
    }
}

fn post_text(text: &str) -> ChatCommand {
    ChatCommand::Post {
        text: text.to_owned(),
        reply_to: None,
    }
}

fn rejected<T>(reason: &str) -> Result<T, Rejection> {
    Err(Rejection::custom(reason))
}

#[test]
fn a_message_is_normalized_and_limited_in_length() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    assert_eq!(room.send(&person(1), post_text(" \n ")), rejected(reason_code::EMPTY));
    assert_eq!(
        room.send(&person(1), post_text(&"a".repeat(MAX_MESSAGE_CHARS + 1))),
        rejected(reason_code::TOO_LONG)
    );
    assert_eq!(room.send(&person(1), post_text(" hi ")), Ok(()));
    assert_eq!(room.state.messages[0].text, "hi");
}

#[test]
fn only_the_author_edits_or_deletes_a_message() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    room.send(&person(1), post_text("mine")).unwrap();
    let edit = |seq| ChatCommand::Edit {
        seq,
        text: "other".to_owned(),
    };
    let delete = ChatCommand::Delete { seq: 1 };
    assert_eq!(room.send(&person(2), edit(1)), rejected(reason_code::NOT_YOURS));
    assert_eq!(room.send(&person(2), delete.clone()), rejected(reason_code::NOT_YOURS));
    assert_eq!(room.send(&person(1), edit(7)), rejected(reason_code::TOO_OLD));
    assert_eq!(room.send(&person(1), edit(1)), Ok(()));
    assert_eq!(room.send(&person(1), edit(1)), Ok(()), "the same text is no event");
    assert_eq!(room.events.len(), 2);
    assert_eq!(room.send(&person(1), delete.clone()), Ok(()));
    assert_eq!(room.send(&person(1), delete), Ok(()), "deleted once");
    assert_eq!(room.events.len(), 3);
    assert_eq!(room.send(&person(1), edit(1)), rejected(reason_code::DELETED));
}

#[test]
fn an_operator_deletes_any_message() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    for number in 0..MAX_MESSAGES as Millis + 2 {
        room.send(&person((number % 50) as u8), post_text("x")).unwrap();
        room.now += POST_WINDOW;
    }
    let delete = |seq| ChatCommand::Delete { seq };
    assert_eq!(room.send(&person(60), delete(1)), rejected(reason_code::TOO_OLD));
    assert_eq!(room.send(&person(60), delete(90)), rejected(reason_code::NOT_YOURS));
    room.authority = duplex_hub::Authority::OPERATOR;
    for (seq, events) in [(1, 1), (90, 1), (90, 0)] {
        assert_eq!(room.execute(&person(60), delete(seq)), Ok(events), "{seq}");
    }
    for wrong in [0, MAX_MESSAGES as Seq + 9] {
        assert_eq!(room.execute(&person(60), delete(wrong)), rejected(reason_code::TOO_OLD));
    }
    let (_, event) = room.events.last().unwrap();
    assert_eq!(Chat.redacts(&room.state, event), Redaction::Events(vec![90]));
}

#[test]
fn a_closed_room_rejects_commands_and_its_name_is_not_reused() {
    let (mut room, mut rooms) = (DeciderHarness::new(Chat, "a"), DeciderHarness::new(Rooms, ALL_ROOMS));
    rooms.send(&person(1), create("a")).unwrap();
    room.send(&person(1), post_text("secret")).unwrap();
    let commands = closing_commands(&room.topic).unwrap();
    let close: ChatServerCommand = serde_json::from_str(commands[0].json()).unwrap();
    let remove: RoomsServerCommand = serde_json::from_str(commands[1].json()).unwrap();
    for _ in 0..2 {
        room.execute_as_server(close.clone()).unwrap();
        rooms.execute_as_server(remove.clone()).unwrap();
    }
    assert_eq!(
        (room.events.len(), rooms.events.len()),
        (2, 2),
        "a repeated command has no effect"
    );
    assert_eq!(Chat.redacts(&room.state, &room.events[1].1), Redaction::AllEarlier);
    assert_eq!(Rooms.redacts(&rooms.state, &rooms.events[1].1), Redaction::AllEarlier);
    assert!(room.state.messages.is_empty() && !rooms.state.rooms.contains_key("a"));
    assert_eq!(
        room.send(&person(1), post_text("again")),
        rejected(reason_code::ROOM_DELETED)
    );
    assert_eq!(rooms.send(&person(1), create("a")), rejected(reason_code::ROOM_DELETED));
    assert_eq!(closing_commands(&TopicName::of::<Chat>(LOBBY).unwrap()), None);
}

#[test]
fn a_reply_names_the_author_it_replies_to() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    room.send(&person(1), post_text("a")).unwrap();
    let answer = |to| ChatCommand::Post {
        text: "b".to_owned(),
        reply_to: Some(to),
    };
    room.send(&person(2), answer(1)).unwrap();
    assert_eq!(room.state.messages[1].reply_to, Some(Reply { seq: 1, to: person(1) }));
    assert_eq!(room.send(&person(2), answer(9)), rejected(reason_code::TOO_OLD));
}

#[test]
fn reactions_are_toggled_and_limited() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    room.send(&person(0), post_text("a")).unwrap();
    let react = |emoji, on| ChatCommand::React { seq: 1, emoji, on };
    for id in 0..MAX_REACTIONS {
        room.send(&person(id as u8), react(Emoji::Yes, true)).unwrap();
    }
    assert_eq!(
        room.send(&person(200), react(Emoji::Yes, true)),
        rejected(reason_code::REACTIONS_FULL)
    );
    room.send(&person(3), react(Emoji::Yes, false)).unwrap();
    assert_eq!(room.send(&person(200), react(Emoji::Party, true)), Ok(()));
    assert_eq!(room.state.messages[0].emojis(), [Emoji::Yes, Emoji::Party]);
}

#[test]
fn the_posting_rate_is_limited_per_person() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    for _ in 0..MAX_POSTS {
        room.send(&person(1), post_text("x")).unwrap();
        room.now += 100;
    }
    let wait = (POST_WINDOW - MAX_POSTS as Millis * 100) as u32;
    assert_eq!(
        room.send(&person(1), post_text("x")),
        Err(Rejection::TooFast { retry_after_ms: wait })
    );
    assert_eq!(room.send(&person(2), post_text("y")), Ok(()));
    room.now += Millis::from(wait);
    assert_eq!(room.send(&person(1), post_text("x")), Ok(()));
}

#[test]
fn a_clock_set_back_does_not_block_posting() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    let start = 1_800_000_000_000;
    room.now = start;
    (0..MAX_POSTS).for_each(|_| room.send(&person(1), post_text("x")).unwrap());
    for back in [1, 60 * 60 * 1000, start] {
        room.now = start - back;
        // The limit counts only the messages from here on.
        (0..MAX_POSTS).for_each(|_| room.send(&person(1), post_text("x")).unwrap());
        let limit = Rejection::TooFast {
            retry_after_ms: POST_WINDOW as u32,
        };
        assert_eq!(room.send(&person(1), post_text("x")), Err(limit));
    }
}

#[test]
fn a_plain_form_posts_to_its_pages_room() {
    let fields = [("message".to_owned(), "hi".to_owned())].into();
    for (path, topic) in [("/chat", "chat/lobby"), ("/chat/room-1", "chat/room-1")] {
        let command = (forms()[0].command)(path, &fields).unwrap();
        assert_eq!(command.topic().as_str(), topic);
        assert_eq!(command.decode::<Chat>(), Ok(post_text("hi")));
    }
    assert_eq!((forms()[1].command)("/chat/A", &fields), None);
}

#[test]
fn malformed_room_names_are_not_admitted() {
    let admits = |rest: &str| Chat.admit(Principal::visitor(&person(1)), &TopicName::of::<Chat>(rest).unwrap());
    assert_eq!(admits("room-1"), Ok(Access::Write));
    for wrong in ["a_b", "a.b", "a/b", &"x".repeat(MAX_ROOM + 1)] {
        assert_eq!(admits(wrong), Err(Denial::Unknown), "{wrong}");
    }
    assert_eq!(
        Rooms.admit(Principal::visitor(&person(1)), &TopicName::of::<Rooms>("some").unwrap()),
        Err(Denial::Unknown)
    );
}

fn create(room: &str) -> RoomsCommand {
    RoomsCommand::Create {
        room: room.to_owned(),
        title: "A room".to_owned(),
    }
}

#[test]
fn a_room_is_created_once_and_anybody_may_describe_it() {
    let mut rooms = DeciderHarness::new(Rooms, ALL_ROOMS);
    assert_eq!(rooms.send(&person(1), create("A")), rejected(reason_code::BAD_ROOM));
    assert_eq!(rooms.send(&person(1), create("a")), Ok(()));
    assert_eq!(rooms.send(&person(2), create("a")), rejected(reason_code::ROOM_TAKEN));
    assert_eq!(rooms.send(&person(2), create(LOBBY)), rejected(reason_code::ROOM_TAKEN));
    let untitled = RoomsCommand::Create {
        room: "b".to_owned(),
        title: " ".to_owned(),
    };
    assert_eq!(rooms.send(&person(2), untitled), rejected(reason_code::BAD_TITLE));
    let describe = |room: &str, length| RoomsCommand::Describe {
        room: room.to_owned(),
        description: "가".repeat(length),
    };
    assert_eq!(rooms.send(&person(2), describe("a", MAX_DESCRIPTION)), Ok(()));
    assert_eq!(
        rooms.send(&person(2), describe("a", MAX_DESCRIPTION + 1)),
        rejected(reason_code::BAD_DESCRIPTION)
    );
    assert_eq!(
        rooms.send(&person(2), describe("none", 1)),
        rejected(reason_code::NO_ROOM)
    );
}

#[test]
fn the_number_of_rooms_is_limited() {
    let mut rooms = DeciderHarness::new(Rooms, ALL_ROOMS);
    for number in 1..MAX_ROOMS {
        rooms.send(&person(1), create(&format!("r{number}"))).unwrap();
    }
    assert_eq!(
        rooms.send(&person(1), create("more")),
        rejected(reason_code::ROOMS_FULL)
    );
}

#[test]
fn a_room_forwards_its_count_to_the_list() {
    let mut room = DeciderHarness::new(Chat, LOBBY);
    room.send(&person(1), post_text("x")).unwrap();
    let (seq, event) = &room.events[0];
    let commands = Chat.forward(&room.topic, &room.state, *seq, event);
    let commands = commands[0].command();
    assert_eq!(commands.topic().as_str(), "rooms/all");
    assert_eq!(
        commands.json(),
        format!(r#"{{"posted":{{"at":{},"count":1,"room":"lobby"}}}}"#, room.now)
    );
    let command: RoomsServerCommand = serde_json::from_str(commands.json()).unwrap();
    let mut rooms = DeciderHarness::new(Rooms, ALL_ROOMS);
    rooms.execute_as_server(command.clone()).unwrap();
    rooms.execute_as_server(command).unwrap();
    assert_eq!(
        (rooms.state.rooms[LOBBY].count, rooms.events.len()),
        (1, 1),
        "a repeated command has no effect"
    );
}

fn commands() -> impl Strategy<Value = (u8, u64, ChatCommand)> {
    let emoji = (0..Emoji::ALL.len()).prop_map(|index| Emoji::ALL[index]);
    let command = prop_oneof![
        4 => ("[a-c가 ]{0,6}", prop::option::weighted(0.2, 1..200_u64)).prop_map(|(text, reply_to)| ChatCommand::Post { text, reply_to }),
        1 => Just(post_text(&"가".repeat(MAX_MESSAGE_CHARS))),
        2 => (1..200_u64, "[a-c]{0,6}").prop_map(|(seq, text)| ChatCommand::Edit { seq, text }),
        1 => (1..200_u64).prop_map(|seq| ChatCommand::Delete { seq }),
        3 => (1..200_u64, emoji, any::<bool>()).prop_map(|(seq, emoji, on)| ChatCommand::React { seq, emoji, on }),
    ];
    (0..5_u8, 0..4_000_u64, command)
}

/// A page of history, as a log returns it.
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

    /// The limits hold for any commands, and the pages of history, read backwards, equal the live messages.
    #[test]
    fn a_room_keeps_its_limits_and_its_history(commands in prop::collection::vec(commands(), 0..300), limit in 1..60_usize) {
        let mut room = DeciderHarness::new(Chat, LOBBY);
        let mut expected = VecDeque::new();
        for (who, later, command) in commands {
            room.now += later;
            let already = room.events.len();
            let _ = room.send(&person(who), command);
            for (seq, event) in &room.events[already..] { apply_event(&mut expected, *seq, event); }
            let bytes: usize = room.state.messages.iter().map(|message| message.text.len()).sum();
            prop_assert!(room.state.messages.len() <= MAX_MESSAGES && bytes <= MAX_TEXT_BYTES);
        }
        prop_assert_eq!(room.state.count, expected.len() as u64);
        let tail: Vec<_> = expected.iter().skip(expected.len() - room.state.messages.len()).collect();
        prop_assert!(tail.into_iter().eq(&room.state.messages));
        let (mut before, mut read) = (Seq::MAX, VecDeque::new());
        loop {
            let older = fold_history(&page(&room.events, before, limit));
            let Some(first) = older.front() else { break };
            before = first.seq;
            for message in older.into_iter().rev() { read.push_front(message); }
        }
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_state_is_the_same_in_both_encodings(commands in prop::collection::vec(commands(), 0..40)) {
        let mut room = DeciderHarness::new(Chat, LOBBY);
        for (who, later, command) in commands {
            room.now += later;
            let _ = room.send(&person(who), command);
        }
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(&room.state).unwrap();
            prop_assert_eq!(&encoding.decode::<Room>(&bytes).unwrap(), &room.state);
        }
    }
}
