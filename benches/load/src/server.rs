//! What the servers say and want to hear. Each message carries a number in the text of a chat message, so that every delivery
//! can be checked and timed; of the rest only so much is read as is needed.

use crate::{
    Result,
    socket::{Door, Outbox},
};

pub const ROOM: &str = "chat/bench";
/// Before the number, so that an event has about 200 bytes.
const TEXT: &str = "Sent again and again to so many. #";
const DIGITS: usize = 12;
const NAME: &str = "Kim Minji";
/// The writer of all messages: they are one person's, whatever session they come from.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Json,
    Postcard,
    Ws,
    SocketIo,
}

/// Where a member stands: epoch and seq, or what Socket.IO calls pid and offset.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Cursor {
    pub log: String,
    pub place: String,
}

#[derive(Debug, PartialEq)]
pub enum Heard {
    /// The member is in the room; the log it is in, where there is one.
    Joined(Cursor),
    /// A message, by its number.
    Message(u64),
    /// The answer to a command: who sent it, its number, and the event's seq.
    Reply {
        who: usize,
        number: u64,
        seq: u64,
    },
    Other,
}

impl Server {
    pub fn of(name: &str) -> Result<Self> {
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

    /// The writer speaks JSON in any case.
    pub const fn of_writer(self) -> Self {
        match self {
            Self::Postcard => Self::Json,
            other => other,
        }
    }

    pub fn door(self, writer: bool) -> Door {
        let cookie = if writer {
            format!("Cookie: visitor={SECRET}\r\n")
        } else {
            String::new()
        };
        let (path, headers) = match self {
            Self::Json => (
                "/api/session",
                format!("Sec-WebSocket-Protocol: duplex.v1.json\r\n{cookie}"),
            ),
            Self::Postcard => (
                "/api/session",
                format!("Sec-WebSocket-Protocol: duplex.v1.postcard\r\n{cookie}"),
            ),
            Self::Ws => ("/api/room", String::new()),
            Self::SocketIo => ("/socket.io/?EIO=4&transport=websocket", String::new()),
        };
        Door { path, headers }
    }

    pub fn hello(out: &mut Outbox) {
        out.text(format!(r#"{{"hello":{{"build":"","name":"{NAME}"}}}}"#).as_bytes());
    }

    /// What a member says when its socket is open; true: that is all, it is in the room.
    pub fn join(self, cursor: Option<&Cursor>, out: &mut Outbox) -> bool {
        match self {
            Self::Json => {
                let cursor = cursor.map_or("null".to_owned(), |Cursor { log, place }| {
                    format!(r#"{{"epoch":{log},"seq":{place}}}"#)
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

    pub fn hear(self, payload: &[u8], cursor: Option<&Cursor>, out: &mut Outbox) -> Result<Heard> {
        match self {
            Self::Json => hear_json(payload, cursor.is_some()),
            Self::Postcard => hear_postcard(payload),
            Self::Ws => Ok(number(payload, JSON_TAIL).map_or(Heard::Other, Heard::Message)),
            Self::SocketIo => hear_socket_io(payload, cursor, out),
        }
    }

    /// Where one stands that has heard this message.
    pub fn place(self, message: &[u8]) -> String {
        let text = String::from_utf8_lossy(message);
        match self {
            Self::SocketIo => text.rsplit('"').nth(1).unwrap_or_default().to_owned(),
            _ => after(&text, r#""seq":"#),
        }
    }

    /// A message as the writer sends it; `post`: which of its messages it edits.
    pub fn message(self, number: u64, post: u64, out: &mut Outbox) {
        match self {
            Self::Json | Self::Postcard => out.text(edit(ROOM, 0, number, post).as_bytes()),
            Self::Ws => out.text(event(number).as_bytes()),
            Self::SocketIo => out.text(format!(r#"42["message",{}]"#, event(number)).as_bytes()),
        }
    }
}

/// A message that is edited without end: one kept event each, and no limit a person.
pub fn post(topic: &str, who: usize, number: u64) -> String {
    let id = id(who, number);
    format!(r#"{{"command":{{"topic":"{topic}","id":"{id}","command":{{"post":{{"text":"-","reply_to":null}}}}}}}}"#)
}

/// No two of them have the same text: one that changes nothing would make no event.
pub fn edit(topic: &str, who: usize, number: u64, post: u64) -> String {
    let id = id(who, number);
    let number = who as u64 * 100_000_000 + number;
    format!(
        r#"{{"command":{{"topic":"{topic}","id":"{id}","command":{{"edit":{{"seq":{post},"text":"{TEXT}{number:0DIGITS$}"}}}}}}}}"#
    )
}

fn id(who: usize, number: u64) -> String {
    format!("{who:08x}{number:024x}")
}

/// What Duplex sends for such an edit, for the peers to send as it is.
fn event(number: u64) -> String {
    format!(
        r#"{{"event":{{"topic":"{ROOM}","seq":{number},"event":{{"edited":{{"seq":1,"by":{{"id":"0123456789abcdef","name":"{NAME}"}},"at":1795390000000,"text":"{TEXT}{number:0DIGITS$}"}}}}}}}}"#
    )
}

/// The text is the last thing in an event: what stands behind it.
const JSON_TAIL: &[u8] = br#""}}}}"#;

fn number(payload: &[u8], tail: &[u8]) -> Option<u64> {
    let text = payload.strip_suffix(tail)?;
    let digits = text.get(text.len().checked_sub(DIGITS + 1)?..)?.strip_prefix(b"#")?;
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + u64::from(digit - b'0')),
        _ => None,
    })
}

fn hear_json(payload: &[u8], resumes: bool) -> Result<Heard> {
    if payload.starts_with(br#"{"event":"#) {
        return Ok(number(payload, JSON_TAIL).map_or(Heard::Other, Heard::Message));
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
        return Ok(Heard::Joined(Cursor {
            log: after(&text, r#""epoch":"#),
            place: after(&text, r#""seq":"#),
        }));
    }
    if payload.starts_with(br#"{"closing":"#) {
        return Err(unexpected(&text()));
    }
    Ok(Heard::Other)
}

fn reply(text: &str) -> Result<Heard> {
    let id = text.get(16..48).ok_or_else(|| unexpected(text))?;
    if !text.contains(r#""answer":{"accepted""#) {
        return Err(unexpected(text));
    }
    Ok(Heard::Reply {
        who: usize::from_str_radix(&id[..8], 16)?,
        number: u64::from_str_radix(&id[8..], 16)?,
        seq: after(text, r#""seq":"#).parse()?,
    })
}

fn hear_postcard(payload: &[u8]) -> Result<Heard> {
    // The frames in their order: welcome, verdict, event, reply, presence, pong, closing. A verdict: resumed, reset, denied.
    match payload {
        [1, rest @ ..] if rest.get(1 + ROOM.len()) == Some(&1) => Ok(Heard::Joined(Cursor::default())),
        [2, ..] => Ok(number(payload, b"").map_or(Heard::Other, Heard::Message)),
        [1 | 6, ..] => Err(unexpected(&format!("{payload:?}"))),
        _ => Ok(Heard::Other),
    }
}

fn hear_socket_io(payload: &[u8], cursor: Option<&Cursor>, out: &mut Outbox) -> Result<Heard> {
    match payload {
        // Engine.IO: open, and ping.
        [b'0', ..] => {
            let auth = cursor.map_or(String::new(), |Cursor { log, place }| {
                format!(r#"{{"pid":"{log}","offset":"{place}"}}"#)
            });
            out.text(format!("40{auth}").as_bytes());
        }
        [b'2'] => out.text(b"3"),
        // Socket.IO: connected, and an event. Where the server keeps what was missed, the event's offset comes last.
        [b'4', b'0', ..] => {
            let log = between_quotes(&String::from_utf8_lossy(payload), r#""pid":"#);
            return Ok(Heard::Joined(Cursor {
                log,
                place: String::new(),
            }));
        }
        [b'4', b'2', ..] => {
            let end = payload.iter().rposition(|byte| *byte == b'}').map_or(0, |at| at + 1);
            return Ok(number(&payload[..end], JSON_TAIL).map_or(Heard::Other, Heard::Message));
        }
        _ => return Err(unexpected(&String::from_utf8_lossy(payload))),
    }
    Ok(Heard::Other)
}

fn unexpected(text: &str) -> Box<dyn std::error::Error> {
    format!("the server said {}", text.chars().take(300).collect::<String>()).into()
}

/// The digits behind `key`, where it stands first.
fn after(text: &str, key: &str) -> String {
    let rest = text.split_once(key).map_or("", |(_, rest)| rest);
    rest.chars().take_while(char::is_ascii_digit).collect()
}

fn between_quotes(text: &str, key: &str) -> String {
    let rest = text.split_once(key).map_or("", |(_, rest)| rest);
    rest.split('"').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(server: Server, payload: &str) -> Heard {
        server.hear(payload.as_bytes(), None, &mut Outbox::default()).unwrap()
    }

    #[test]
    fn a_message_has_200_bytes_and_its_number_is_found() {
        let event = event(4321);
        assert!((190..=210).contains(&event.len()), "{}", event.len());
        for server in [Server::Json, Server::Ws] {
            assert_eq!(hear(server, &event), Heard::Message(4321));
        }
        let packet = format!(r#"42["message",{event}]"#);
        assert_eq!(hear(Server::SocketIo, &packet), Heard::Message(4321));
        let kept = format!(r#"42["message",{event},"a1_b"]"#);
        assert_eq!(hear(Server::SocketIo, &kept), Heard::Message(4321));
        assert_eq!(Server::SocketIo.place(kept.as_bytes()), "a1_b");
        assert_eq!(Server::Json.place(event.as_bytes()), "4321");
        let mut postcard = vec![2, ROOM.len() as u8];
        postcard.extend(format!("{ROOM}..{TEXT}{:012}", 4321).bytes());
        assert_eq!(hear_postcard(&postcard).unwrap(), Heard::Message(4321));
    }

    #[test]
    fn an_event_without_a_number_is_none() {
        let posted =
            r#"{"event":{"topic":"chat/bench","seq":1,"event":{"posted":{"number":1,"text":"-","reply_to":null}}}}"#;
        assert_eq!(hear(Server::Json, posted), Heard::Other);
        assert_eq!(hear(Server::Ws, "#12345678901x\"}}}}"), Heard::Other);
    }

    #[test]
    fn replies_are_known_by_their_ids() {
        let command = edit(ROOM, 7, 300, 1);
        assert!(
            command.contains(r#""id":"0000000700000000000000000000012c""#),
            "{command}"
        );
        let reply =
            r#"{"reply":{"id":"0000000700000000000000000000012c","answer":{"accepted":{"seq":9}},"again":false}}"#;
        assert_eq!(
            hear(Server::Json, reply),
            Heard::Reply {
                who: 7,
                number: 300,
                seq: 9
            }
        );
        let refused = r#"{"reply":{"id":"0000000700000000000000000000012c","answer":{"rejected":{"too_fast":{"retry_after_ms":5}}},"again":false}}"#;
        assert!(hear_json(refused.as_bytes(), false).is_err());
    }

    #[test]
    fn who_comes_back_must_be_let_go_on() {
        let reset = r#"{"verdict":{"topic":"chat/bench","verdict":{"reset":{"reason":"new","cursor":{"epoch":5,"seq":2},"state":[]}}}}"#;
        let resumed =
            r#"{"verdict":{"topic":"chat/bench","verdict":{"resumed":{"replayed":1,"head":{"epoch":5,"seq":2}}}}}"#;
        let cursor = Cursor {
            log: "5".to_owned(),
            place: "2".to_owned(),
        };
        assert_eq!(
            hear_json(reset.as_bytes(), false).unwrap(),
            Heard::Joined(cursor.clone())
        );
        assert_eq!(hear_json(resumed.as_bytes(), true).unwrap(), Heard::Joined(cursor));
        assert!(hear_json(reset.as_bytes(), true).is_err());
        assert!(
            hear_json(
                br#"{"verdict":{"topic":"t","verdict":{"denied":{"reason":"unknown"}}}}"#,
                false
            )
            .is_err()
        );
        assert_eq!(
            hear(Server::SocketIo, r#"40{"sid":"s","pid":"p"}"#),
            Heard::Joined(Cursor {
                log: "p".to_owned(),
                place: String::new()
            })
        );
        let mut verdict = vec![1, 10];
        verdict.extend(ROOM.bytes());
        assert!(hear_postcard(&[&verdict[..], &[1, 0]].concat()).is_ok());
        assert!(hear_postcard(&[&verdict[..], &[2, 0]].concat()).is_err());
    }
}
