//! The messages of the servers. Each chat message has a number in its text, so that every delivery can be checked and timed; only the
//! necessary parts of a message are decoded.

use crate::{
    Result,
    socket::{Endpoint, Outbox},
};

pub const ROOM: &str = "chat/bench";
/// The text before the number, which makes an event about 200 bytes long.
const TEXT: &str = "Sent to many. #";
const DIGITS: usize = 12;
const NAME: &str = "Kim Minji";
/// The writer's secret: all messages come from one person, in every session.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Json,
    Postcard,
    Ws,
    SocketIo,
}

/// A member's position: epoch, seq and checksum, or Socket.IO's pid and offset.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Cursor {
    pub log_id: String,
    pub position: String,
    /// `null` if the log has none; empty for Socket.IO.
    pub checksum: String,
}

#[derive(Debug, PartialEq)]
pub enum ServerMessage {
    /// The member has joined the room; with a cursor, if the server has a log.
    Joined(Cursor),
    /// A message, by its number.
    Message(u64),
    /// The answer to a command: the session that sent it, its number, and the event's seq.
    Reply {
        session: usize,
        number: u64,
        seq: u64,
    },
    Other,
}

impl Server {
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "duplex" => Self::Json,
            "postcard" => Self::Postcard,
            "ws" => Self::Ws,
            "socketio" => Self::SocketIo,
            _ => return Err(format!("server={name} is none of duplex, postcard, ws, socketio").into()),
        })
    }

    pub const fn is_duplex(self) -> bool {
        matches!(self, Self::Json | Self::Postcard)
    }

    /// The writer always uses JSON.
    pub const fn for_writer(self) -> Self {
        match self {
            Self::Postcard => Self::Json,
            other => other,
        }
    }

    pub fn endpoint(self, writer: bool, deflate: bool) -> Endpoint {
        let cookie = if writer {
            format!("Cookie: visitor={SECRET}\r\n")
        } else {
            String::new()
        };
        let (path, headers) = match self {
            Self::Json => (
                "/api/session",
                format!("Sec-WebSocket-Protocol: duplex.v2.json\r\n{cookie}"),
            ),
            Self::Postcard => (
                "/api/session",
                format!("Sec-WebSocket-Protocol: duplex.v2.postcard\r\n{cookie}"),
            ),
            Self::Ws => ("/api/room", String::new()),
            Self::SocketIo => ("/socket.io/?EIO=4&transport=websocket", String::new()),
        };
        Endpoint { path, headers, deflate }
    }

    pub fn hello(out: &mut Outbox) {
        out.text(format!(r#"{{"hello":{{"build":"","name":"{NAME}"}}}}"#).as_bytes());
    }

    /// Writes a member's first messages. Returns true if the member has then joined without an answer.
    pub fn join(self, cursor: Option<&Cursor>, out: &mut Outbox) -> bool {
        match self {
            Self::Json => {
                let cursor = cursor.map_or("null".to_owned(), |cursor| {
                    let Cursor {
                        log_id,
                        position,
                        checksum,
                    } = cursor;
                    format!(r#"{{"epoch":{log_id},"seq":{position},"check":{checksum}}}"#)
                });
                out.text(br#"{"hello":{"build":"","name":null}}"#);
                out.text(format!(r#"{{"subscribe":{{"topic":"{ROOM}","cursor":{cursor}}}}}"#).as_bytes());
            }
            Self::Postcard => {
                out.binary(&[0, 0, 0]);
                let mut subscribe = vec![1, ROOM.len() as u8];
                subscribe.extend(ROOM.as_bytes());
                subscribe.push(0);
                out.binary(&subscribe);
            }
            Self::Ws | Self::SocketIo => {}
        }
        self == Self::Ws
    }

    /// Decodes a message. Replies that the protocol requires go to `out`.
    pub fn decode(self, payload: &[u8], cursor: Option<&Cursor>, out: &mut Outbox) -> Result<ServerMessage> {
        match self {
            Self::Json => decode_json(payload, cursor.is_some()),
            Self::Postcard => decode_postcard(payload),
            Self::Ws => Ok(number(payload, JSON_TAIL).map_or(ServerMessage::Other, ServerMessage::Message)),
            Self::SocketIo => decode_socket_io(payload, cursor, out),
        }
    }

    /// Moves the cursor of a member that has received this message.
    pub fn advance(self, cursor: &mut Cursor, message: &[u8]) {
        let text = String::from_utf8_lossy(message);
        match self {
            Self::SocketIo => text
                .rsplit('"')
                .nth(1)
                .unwrap_or_default()
                .clone_into(&mut cursor.position),
            _ => (cursor.position, cursor.checksum) = (after(&text, r#""seq":"#), checksum(&text)),
        }
    }

    /// Writes a message of the writer; `post` is the seq of the message that it edits.
    pub fn write_message(self, number: u64, post: u64, out: &mut Outbox) {
        match self {
            Self::Json | Self::Postcard => out.text(edit(ROOM, 0, number, post).as_bytes()),
            Self::Ws => out.text(event(number).as_bytes()),
            Self::SocketIo => out.text(format!(r#"42["message",{}]"#, event(number)).as_bytes()),
        }
    }
}

/// A command that posts the message that is then edited repeatedly: each edit appends one event, and no per-person limit applies.
pub fn post(topic: &str, session: usize, number: u64) -> String {
    post_text(topic, session, number, "-")
}

/// A command that posts this text.
pub fn post_text(topic: &str, session: usize, number: u64, text: &str) -> String {
    let id = id(session, number);
    format!(
        r#"{{"command":{{"topic":"{topic}","id":"{id}","command":{{"post":{{"text":"{text}","reply_to":null}}}}}}}}"#
    )
}

/// A command that edits the message. No two edits have the same text: an edit without a change would append no event.
pub fn edit(topic: &str, session: usize, number: u64, post: u64) -> String {
    let id = id(session, number);
    let number = session as u64 * 100_000_000 + number;
    format!(
        r#"{{"command":{{"topic":"{topic}","id":"{id}","command":{{"edit":{{"seq":{post},"text":"{TEXT}{number:0DIGITS$}"}}}}}}}}"#
    )
}

fn id(session: usize, number: u64) -> String {
    format!("{session:08x}{number:024x}")
}

/// Duplex's event of such an edit; the peers send the same bytes.
fn event(number: u64) -> String {
    // Ten digits that differ, like most checksums.
    let check = (number as u32).wrapping_mul(0x9e37_79b9) | 1 << 31;
    format!(
        r#"{{"event":{{"topic":"{ROOM}","seq":{number},"check":{check},"event":{{"edited":{{"seq":1,"by":{{"id":"0123456789abcdef","name":"{NAME}"}},"at":1795390000000,"text":"{TEXT}{number:0DIGITS$}"}}}}}}}}"#
    )
}

/// The end of an event after its text.
const JSON_TAIL: &[u8] = br#""}}}}"#;

fn number(payload: &[u8], tail: &[u8]) -> Option<u64> {
    let text = payload.strip_suffix(tail)?;
    let digits = text.get(text.len().checked_sub(DIGITS + 1)?..)?.strip_prefix(b"#")?;
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + u64::from(digit - b'0')),
        _ => None,
    })
}

fn decode_json(payload: &[u8], resumes: bool) -> Result<ServerMessage> {
    if payload.starts_with(br#"{"event":"#) {
        return Ok(number(payload, JSON_TAIL).map_or(ServerMessage::Other, ServerMessage::Message));
    }
    let text = || String::from_utf8_lossy(payload);
    if payload.starts_with(br#"{"reply":"#) {
        return reply(&text());
    }
    if payload.starts_with(br#"{"verdict":"#) {
        let text = text();
        let expected = if resumes {
            r#""verdict":{"resumed""#
        } else {
            r#""verdict":{"reset""#
        };
        if !text.contains(expected) {
            return Err(unexpected(&text));
        }
        return Ok(ServerMessage::Joined(Cursor {
            log_id: after(&text, r#""epoch":"#),
            position: after(&text, r#""seq":"#),
            checksum: checksum(&text),
        }));
    }
    if payload.starts_with(br#"{"closing":"#) {
        return Err(unexpected(&text()));
    }
    Ok(ServerMessage::Other)
}

fn reply(text: &str) -> Result<ServerMessage> {
    let id = text.get(16..48).ok_or_else(|| unexpected(text))?;
    if !text.contains(r#""answer":{"accepted""#) {
        return Err(unexpected(text));
    }
    Ok(ServerMessage::Reply {
        session: usize::from_str_radix(&id[..8], 16)?,
        number: u64::from_str_radix(&id[8..], 16)?,
        seq: after(text, r#""seq":"#).parse()?,
    })
}

fn decode_postcard(payload: &[u8]) -> Result<ServerMessage> {
    // Frames are numbered welcome, verdict, event, reply, presence, pong, closing; verdicts resumed, reset, denied.
    match payload {
        [1, rest @ ..] if rest.get(1 + ROOM.len()) == Some(&1) => Ok(ServerMessage::Joined(Cursor::default())),
        [2, ..] => Ok(number(payload, b"").map_or(ServerMessage::Other, ServerMessage::Message)),
        [1 | 6, ..] => Err(unexpected(&format!("{payload:?}"))),
        _ => Ok(ServerMessage::Other),
    }
}

fn decode_socket_io(payload: &[u8], cursor: Option<&Cursor>, out: &mut Outbox) -> Result<ServerMessage> {
    match payload {
        // Engine.IO packets: open and ping.
        [b'0', ..] => {
            let auth = cursor.map_or(String::new(), |Cursor { log_id, position, .. }| {
                format!(r#"{{"pid":"{log_id}","offset":"{position}"}}"#)
            });
            out.text(format!("40{auth}").as_bytes());
        }
        [b'2'] => out.text(b"3"),
        // Socket.IO packets: connect and event. With connection state recovery, an event ends with its offset.
        [b'4', b'0', ..] => {
            let log_id = between_quotes(&String::from_utf8_lossy(payload), r#""pid":"#);
            return Ok(ServerMessage::Joined(Cursor {
                log_id,
                ..Cursor::default()
            }));
        }
        [b'4', b'2', ..] => {
            let end = payload.iter().rposition(|byte| *byte == b'}').map_or(0, |at| at + 1);
            return Ok(number(&payload[..end], JSON_TAIL).map_or(ServerMessage::Other, ServerMessage::Message));
        }
        _ => return Err(unexpected(&String::from_utf8_lossy(payload))),
    }
    Ok(ServerMessage::Other)
}

fn unexpected(text: &str) -> Box<dyn std::error::Error> {
    format!("unexpected message: {}", text.chars().take(300).collect::<String>()).into()
}

/// The digits after the first occurrence of `key`.
fn after(text: &str, key: &str) -> String {
    let rest = text.split_once(key).map_or("", |(_, rest)| rest);
    rest.chars().take_while(char::is_ascii_digit).collect()
}

/// The checksum of the first cursor or event; a log without checksums has `null`.
fn checksum(text: &str) -> String {
    match after(text, r#""check":"#) {
        digits if digits.is_empty() => "null".to_owned(),
        digits => digits,
    }
}

fn between_quotes(text: &str, key: &str) -> String {
    let rest = text.split_once(key).map_or("", |(_, rest)| rest);
    rest.split('"').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(server: Server, payload: &str) -> ServerMessage {
        server.decode(payload.as_bytes(), None, &mut Outbox::default()).unwrap()
    }

    #[test]
    fn a_message_has_200_bytes_and_a_number() {
        let event = event(4321);
        assert!((190..=210).contains(&event.len()), "{}", event.len());
        for server in [Server::Json, Server::Ws] {
            assert_eq!(decode(server, &event), ServerMessage::Message(4321));
        }
        let packet = format!(r#"42["message",{event}]"#);
        assert_eq!(decode(Server::SocketIo, &packet), ServerMessage::Message(4321));
        let recoverable = format!(r#"42["message",{event},"a1_b"]"#);
        assert_eq!(decode(Server::SocketIo, &recoverable), ServerMessage::Message(4321));
        let mut cursor = Cursor::default();
        Server::SocketIo.advance(&mut cursor, recoverable.as_bytes());
        assert_eq!((&*cursor.position, &*cursor.checksum), ("a1_b", ""));
        Server::Json.advance(&mut cursor, event.as_bytes());
        assert_eq!((&*cursor.position, cursor.checksum.len()), ("4321", 10));
        let mut postcard = vec![2, ROOM.len() as u8];
        postcard.extend(format!("{ROOM}..{TEXT}{:012}", 4321).bytes());
        assert_eq!(decode_postcard(&postcard).unwrap(), ServerMessage::Message(4321));
    }

    #[test]
    fn an_event_without_a_number_is_ignored() {
        let posted = r#"{"event":{"topic":"chat/bench","seq":1,"check":7,"event":{"posted":{"number":1,"text":"-","reply_to":null}}}}"#;
        assert_eq!(decode(Server::Json, posted), ServerMessage::Other);
        assert_eq!(decode(Server::Ws, "#12345678901x\"}}}}"), ServerMessage::Other);
    }

    #[test]
    fn a_reply_is_decoded_from_its_id() {
        let command = edit(ROOM, 7, 300, 1);
        assert!(
            command.contains(r#""id":"0000000700000000000000000000012c""#),
            "{command}"
        );
        let reply =
            r#"{"reply":{"id":"0000000700000000000000000000012c","answer":{"accepted":{"seq":9}},"again":false}}"#;
        assert_eq!(
            decode(Server::Json, reply),
            ServerMessage::Reply {
                session: 7,
                number: 300,
                seq: 9
            }
        );
        let rejected = r#"{"reply":{"id":"0000000700000000000000000000012c","answer":{"rejected":{"too_fast":{"retry_after_ms":5}}},"again":false}}"#;
        assert!(decode_json(rejected.as_bytes(), false).is_err());
    }

    #[test]
    fn a_returning_member_must_be_resumed() {
        let reset = r#"{"verdict":{"topic":"chat/bench","verdict":{"reset":{"reason":"new","cursor":{"epoch":5,"seq":2,"check":300},"state":[]}}}}"#;
        let resumed = r#"{"verdict":{"topic":"chat/bench","verdict":{"resumed":{"replayed":1,"head":{"epoch":5,"seq":2,"check":300}}}}}"#;
        let cursor = Cursor {
            log_id: "5".to_owned(),
            position: "2".to_owned(),
            checksum: "300".to_owned(),
        };
        assert_eq!(
            decode_json(reset.as_bytes(), false).unwrap(),
            ServerMessage::Joined(cursor.clone())
        );
        assert_eq!(
            decode_json(resumed.as_bytes(), true).unwrap(),
            ServerMessage::Joined(cursor)
        );
        assert!(decode_json(reset.as_bytes(), true).is_err());
        assert!(
            decode_json(
                br#"{"verdict":{"topic":"t","verdict":{"denied":{"reason":"unknown"}}}}"#,
                false
            )
            .is_err()
        );
        assert_eq!(
            decode(Server::SocketIo, r#"40{"sid":"s","pid":"p"}"#),
            ServerMessage::Joined(Cursor {
                log_id: "p".to_owned(),
                ..Cursor::default()
            })
        );
        let mut verdict = vec![1, 10];
        verdict.extend(ROOM.bytes());
        assert!(decode_postcard(&[&verdict[..], &[1, 0]].concat()).is_ok());
        assert!(decode_postcard(&[&verdict[..], &[2, 0]].concat()).is_err());
    }
}
