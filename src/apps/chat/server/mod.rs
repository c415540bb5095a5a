//! The deciders of rooms and of their list: admission and commands. Pure.

pub mod commands;

use self::commands::{ChatServerCommand, RoomsServerCommand};
use super::model::{MAX_MESSAGES, MAX_REACTIONS, MAX_ROOMS, MAX_TEXT_BYTES, Message, Room, RoomEntry, RoomList};
use super::wire::{
    ALL_ROOMS, Chat, ChatCommand, ChatEvent, Emoji, LOBBY, MAX_DESCRIPTION, MAX_MESSAGE_CHARS, MAX_TITLE, Reply, Rooms,
    RoomsCommand, RoomsEvent, check_text, is_room, reason_code, room_path,
};
use crate::apps::server::AppServer;
use crate::server::forms::CommandForm;
use crate::server::names::sanitize::{sanitize_line, sanitize_text};
use duplex_hub::TopicCommand;
use duplex_hub::decider::{Access, Context, Creation, Decider, Forward, Millis, Principal, Redaction};
use duplex_hub::dyn_topic;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::{Topic as _, TopicName};

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| vec![dyn_topic(Chat), dyn_topic(Rooms)]),
        command_forms: forms().to_vec(),
        closing_commands: Some(closing_commands),
        ..AppServer::default()
    }
}

/// Maximum number of messages that a person may post in a room within [`POST_WINDOW`] milliseconds.
const MAX_POSTS: usize = 10;
const POST_WINDOW: Millis = 10_000;

// The state holds enough messages to count one person's newest posts.
const _: () = assert!(MAX_POSTS <= MAX_MESSAGES && MAX_POSTS * MAX_MESSAGE_CHARS * 4 <= MAX_TEXT_BYTES);

/// The plain forms of the composer and of a new room.
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
        redirect_to: |path, fields| {
            let new_room = fields.get("room").map(|room| room_path(room.trim()));
            new_room.unwrap_or_else(|| path.to_owned())
        },
    })
}

/// The commands that delete a room: one to the room, one to the list. The lobby cannot be deleted.
pub fn closing_commands(topic: &TopicName) -> Option<Vec<TopicCommand>> {
    let room = topic.rest();
    if topic.kind() != Chat::KIND || !is_room(room) || room == LOBBY {
        return None;
    }
    let to_room = TopicCommand::server_command::<Chat>(room, &ChatServerCommand::Close).ok()?;
    let room = room.to_owned();
    let to_list = TopicCommand::server_command::<Rooms>(ALL_ROOMS, &RoomsServerCommand::Delete { room }).ok()?;
    Some(vec![to_room, to_list])
}

impl Decider for Chat {
    type ServerCommand = ChatServerCommand;

    /// Admits every well-formed name; existence is checked against the room list by the page.
    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if is_room(topic.rest()) {
            Ok(Access::Write)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn decide(&self, context: Context<'_>, room: &Room, command: ChatCommand) -> Result<Vec<ChatEvent>, Rejection> {
        if room.closed {
            return Err(Rejection::custom(reason_code::ROOM_DELETED));
        }
        match command {
            ChatCommand::Post { text, reply_to } => post(context, room, &text, reply_to),
            ChatCommand::Edit { seq, text } => edit(context, room, seq, &text),
            ChatCommand::Delete { seq } => delete(context, room, seq),
            ChatCommand::React { seq, emoji, on } => react(context, room, seq, emoji, on),
        }
    }

    /// Only the lobby's topic is created by a read; other rooms exist once the list has them or they have messages.
    fn starts_on_read(&self, topic: &TopicName) -> bool {
        topic.rest() == LOBBY
    }

    fn listed_in(&self) -> Option<TopicName> {
        TopicName::of::<Rooms>(ALL_ROOMS).ok()
    }

    /// Deleting a message erases its text from the log too.
    fn redacts(&self, _room: &Room, event: &ChatEvent) -> Redaction {
        match event {
            ChatEvent::Deleted { seq, .. } => Redaction::Events(vec![*seq]),
            ChatEvent::Closed { .. } => Redaction::AllEarlier,
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
        let posted = RoomsServerCommand::Posted {
            room: topic.rest().to_owned(),
            count: *number,
            at: *at,
        };
        Forward::server_command::<Rooms>(ALL_ROOMS, &posted)
            .into_iter()
            .collect()
    }
}

fn post(context: Context<'_>, room: &Room, typed: &str, reply_to: Option<Seq>) -> Result<Vec<ChatEvent>, Rejection> {
    let text = sanitize_text(typed);
    check_text(&text).map_err(Rejection::custom)?;
    let reply_to = reply_to.map(|seq| reply_target(room, seq)).transpose()?;
    check_rate(context, room)?;
    Ok(vec![ChatEvent::Posted {
        number: room.count.saturating_add(1),
        by: context.sender.clone(),
        at: context.now,
        text,
        reply_to,
    }])
}

fn reply_target(room: &Room, seq: Seq) -> Result<Reply, Rejection> {
    let message = recent_message(room, seq)?;
    Ok(Reply {
        seq,
        to: message.by.clone(),
    })
}

/// Limits a person's posting rate by the times of their messages in the room's state. Messages dated in the future were posted
/// before the clock was set back; they are ignored, because they would otherwise block the person for an unknown time.
fn check_rate(context: Context<'_>, room: &Room) -> Result<(), Rejection> {
    let own = room
        .messages
        .iter()
        .rev()
        .filter(|message| message.by.id == context.sender.id);
    let past = own.map(|message| message.at).filter(|time| *time <= context.now);
    let Some(first) = past.take(MAX_POSTS).nth(MAX_POSTS - 1) else {
        return Ok(());
    };
    let wait = first.saturating_add(POST_WINDOW).saturating_sub(context.now);
    match u32::try_from(wait) {
        Ok(0) | Err(_) => Ok(()),
        Ok(retry_after_ms) => Err(Rejection::TooFast { retry_after_ms }),
    }
}

fn recent_message(room: &Room, seq: Seq) -> Result<&Message, Rejection> {
    let message = room
        .message(seq)
        .ok_or_else(|| Rejection::custom(reason_code::TOO_OLD))?;
    if message.is_deleted() {
        return Err(Rejection::custom(reason_code::DELETED));
    }
    Ok(message)
}

fn own_message<'a>(context: Context<'_>, room: &'a Room, seq: Seq) -> Result<&'a Message, Rejection> {
    let message = room
        .message(seq)
        .ok_or_else(|| Rejection::custom(reason_code::TOO_OLD))?;
    if message.by.id != context.sender.id {
        return Err(Rejection::custom(reason_code::NOT_YOURS));
    }
    Ok(message)
}

fn edit(context: Context<'_>, room: &Room, seq: Seq, typed: &str) -> Result<Vec<ChatEvent>, Rejection> {
    let text = sanitize_text(typed);
    check_text(&text).map_err(Rejection::custom)?;
    let message = own_message(context, room, seq)?;
    if message.is_deleted() {
        return Err(Rejection::custom(reason_code::DELETED));
    }
    if message.text == text {
        return Ok(Vec::new());
    }
    Ok(vec![ChatEvent::Edited {
        seq,
        by: context.sender.clone(),
        at: context.now,
        text,
    }])
}

/// Deletes one's own message. An operator deletes any message, including those that only the log still has.
fn delete(context: Context<'_>, room: &Room, seq: Seq) -> Result<Vec<ChatEvent>, Rejection> {
    let is_old = || room.messages.front().is_some_and(|first| (1..first.seq).contains(&seq));
    let message = match context.authority.operator {
        true if is_old() => None,
        true => Some(
            room.message(seq)
                .ok_or_else(|| Rejection::custom(reason_code::TOO_OLD))?,
        ),
        false => Some(own_message(context, room, seq)?),
    };
    if message.is_some_and(Message::is_deleted) {
        return Ok(Vec::new());
    }
    Ok(vec![ChatEvent::Deleted {
        seq,
        by: context.sender.clone(),
        at: context.now,
    }])
}

fn close(context: Context<'_>, room: &Room) -> Vec<ChatEvent> {
    if room.closed {
        return Vec::new();
    }
    vec![ChatEvent::Closed { at: context.now }]
}

fn react(context: Context<'_>, room: &Room, seq: Seq, emoji: Emoji, on: bool) -> Result<Vec<ChatEvent>, Rejection> {
    let message = recent_message(room, seq)?;
    if message.has_reaction(emoji, &context.sender.id) == on {
        return Ok(Vec::new());
    }
    if on && message.reactions.len() >= MAX_REACTIONS {
        return Err(Rejection::custom(reason_code::REACTIONS_FULL));
    }
    Ok(vec![ChatEvent::Reacted {
        seq,
        by: context.sender.clone(),
        at: context.now,
        emoji,
        on,
    }])
}

impl Decider for Rooms {
    type ServerCommand = RoomsServerCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if topic.rest() == ALL_ROOMS {
            Ok(Access::Write)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn decide(
        &self,
        context: Context<'_>,
        list: &RoomList,
        command: RoomsCommand,
    ) -> Result<Vec<RoomsEvent>, Rejection> {
        match command {
            RoomsCommand::Create { room, title } => create(context, list, room, &title),
            RoomsCommand::Describe { room, description } => describe(context, list, room, &description),
        }
    }

    /// Erases all earlier events, because they may name the deleted room; the state has the rest of the list.
    fn redacts(&self, _list: &RoomList, event: &RoomsEvent) -> Redaction {
        match event {
            RoomsEvent::Deleted { .. } => Redaction::AllEarlier,
            _ => Redaction::Nothing,
        }
    }

    fn lists(list: &RoomList, topic: &TopicName) -> bool {
        topic.kind() == Chat::KIND && list.rooms.contains_key(topic.rest())
    }

    const CREATES: bool = true;

    fn creates(command: &RoomsCommand) -> Option<Creation> {
        matches!(command, RoomsCommand::Create { .. }).then_some(Creation::Shared)
    }

    /// Wakes the new room's topic, so that visitors on its page are subscribed.
    fn forward(&self, _topic: &TopicName, _list: &RoomList, _seq: Seq, event: &RoomsEvent) -> Vec<Forward> {
        let RoomsEvent::Created { room, .. } = event else {
            return Vec::new();
        };
        Forward::start::<Chat>(room).into_iter().collect()
    }
}

fn create(context: Context<'_>, list: &RoomList, room: String, title: &str) -> Result<Vec<RoomsEvent>, Rejection> {
    let title = sanitize_line(title, MAX_TITLE + 1);
    if !is_room(&room) {
        return Err(Rejection::custom(reason_code::BAD_ROOM));
    }
    if !(1..=MAX_TITLE).contains(&title.chars().count()) {
        return Err(Rejection::custom(reason_code::BAD_TITLE));
    }
    if list.is_deleted_room(&room) {
        return Err(Rejection::custom(reason_code::ROOM_DELETED));
    }
    if list.rooms.contains_key(&room) {
        return Err(Rejection::custom(reason_code::ROOM_TAKEN));
    }
    if list.rooms.len() >= MAX_ROOMS {
        return Err(Rejection::custom(reason_code::ROOMS_FULL));
    }
    Ok(vec![RoomsEvent::Created {
        room,
        title,
        by: context.sender.clone(),
        at: context.now,
    }])
}

fn describe(
    context: Context<'_>,
    list: &RoomList,
    room: String,
    description: &str,
) -> Result<Vec<RoomsEvent>, Rejection> {
    let description = sanitize_line(description, MAX_DESCRIPTION + 1);
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(Rejection::custom(reason_code::BAD_DESCRIPTION));
    }
    if entry(list, &room)?.description == description {
        return Ok(Vec::new());
    }
    Ok(vec![RoomsEvent::Described {
        room,
        description,
        by: context.sender.clone(),
        at: context.now,
    }])
}

fn posted(list: &RoomList, room: String, count: u64, at: Millis) -> Vec<RoomsEvent> {
    match list.rooms.get(&room) {
        Some(entry) if entry.count < count => vec![RoomsEvent::Posted { room, count, at }],
        _ => Vec::new(),
    }
}

fn remove(context: Context<'_>, list: &RoomList, room: String) -> Vec<RoomsEvent> {
    if room == LOBBY || !is_room(&room) || list.is_deleted_room(&room) {
        return Vec::new();
    }
    vec![RoomsEvent::Deleted { room, at: context.now }]
}

fn entry<'a>(list: &'a RoomList, room: &str) -> Result<&'a RoomEntry, Rejection> {
    list.rooms
        .get(room)
        .ok_or_else(|| Rejection::custom(reason_code::NO_ROOM))
}

#[cfg(test)]
mod tests;
