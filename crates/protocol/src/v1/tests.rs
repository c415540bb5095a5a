//! Golden tests: both versions encode and decode the recorded bytes, so clients of earlier builds keep working.

use std::fmt::Write as _;

use super::super::cursor::Checksum;
use super::super::person::PersonId;
use super::super::presence::Presence;
use super::super::session::{CloseReason, Welcome};
use super::super::subprotocol::{Subprotocol, Version};
use super::*;

fn topic() -> TopicName {
    "chat/lobby".parse().unwrap()
}

fn at(seq: Seq) -> cursor::Cursor {
    cursor::Cursor::new(Epoch::new(5), seq).with_checksum(Checksum::new(300))
}

fn content(encoding: Encoding) -> EncodedValue {
    EncodedValue::encode(encoding, &"가").unwrap()
}

fn verdict(verdict: session::Verdict) -> ServerFrame {
    let topic = topic();
    ServerFrame::Verdict { topic, verdict }
}

fn reset(reason: ResetReason, encoding: Encoding) -> ServerFrame {
    verdict(session::Verdict::Reset {
        reason,
        cursor: at(2),
        state: content(encoding),
    })
}

fn reply(answer: Answer) -> ServerFrame {
    ServerFrame::Reply {
        id: CommandId::from_bits(1),
        answer,
        duplicate: true,
    }
}

/// One frame of each kind, and one for each reason that version 1 does not know.
fn server_frames(encoding: Encoding) -> Vec<ServerFrame> {
    let topic = topic();
    vec![
        ServerFrame::Welcome(Welcome {
            session: SessionId("s-1".to_owned()),
            person: Person {
                id: PersonId("aa".to_owned()),
                name: "Kim".to_owned(),
            },
            build: "b".to_owned(),
            node: "n".to_owned(),
            keepalive_ms: 25_000,
            now_ms: 1_000_000_000_000,
        }),
        verdict(session::Verdict::Resumed {
            replayed: 3,
            head: at(4),
        }),
        reset(ResetReason::New, encoding),
        reset(ResetReason::Diverged, encoding),
        verdict(session::Verdict::Denied {
            reason: Denial::Forbidden,
        }),
        ServerFrame::Event {
            topic: topic.clone(),
            seq: 5,
            checksum: Checksum::new(7),
            event: content(encoding),
        },
        reply(Answer::Accepted { seq: 5 }),
        reply(Answer::Rejected(Rejection::IdTooOld {
            no_effect: true,
            now_ms: 5,
        })),
        reply(Answer::Rejected(Rejection::IdTooNew { now_ms: 5 })),
        reply(Answer::Rejected(Rejection::Unavailable)),
        ServerFrame::Presence {
            topic,
            presence: Presence::default(),
        },
        ServerFrame::Pong { nonce: 1 },
        ServerFrame::Closing {
            reason: CloseReason::Draining,
            retry_after_ms: 100,
        },
        ServerFrame::NameRejected {
            reason: "name_fixed".to_owned(),
        },
    ]
}

fn client_frames(encoding: Encoding, version: Version) -> Vec<session::ClientFrame> {
    let checksum = if version == Version::V2 {
        Checksum::new(300)
    } else {
        None
    };
    vec![
        session::ClientFrame::Hello {
            build: String::new(),
            name: None,
        },
        session::ClientFrame::Subscribe {
            topic: topic(),
            cursor: Some(at(2).with_checksum(checksum)),
        },
        session::ClientFrame::Subscribe {
            topic: topic(),
            cursor: None,
        },
        session::ClientFrame::Command {
            topic: topic(),
            id: CommandId::from_bits(1),
            command: content(encoding),
        },
        session::ClientFrame::Activity {
            topic: topic(),
            activity: None,
        },
        session::ClientFrame::Unsubscribe { topic: topic() },
        session::ClientFrame::Rename { name: "Kim".to_owned() },
        session::ClientFrame::Ping { nonce: 7 },
    ]
}

fn to_line(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Json => String::from_utf8(bytes.to_vec()).unwrap(),
        Encoding::Postcard => bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    }
}

fn from_line(encoding: Encoding, line: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json => line.as_bytes().to_vec(),
        Encoding::Postcard => (0..line.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap())
            .collect(),
    }
}

fn recorded(protocol: Subprotocol) -> &'static str {
    match (protocol.version, protocol.encoding) {
        (Version::V1, Encoding::Json) => include_str!("recorded/v1.json.txt"),
        (Version::V1, Encoding::Postcard) => include_str!("recorded/v1.postcard.txt"),
        (Version::V2, Encoding::Json) => include_str!("recorded/v2.json.txt"),
        (Version::V2, Encoding::Postcard) => include_str!("recorded/v2.postcard.txt"),
    }
}

/// Each file has the server's frames, an empty line, and the client's frames.
#[test]
fn every_frame_matches_its_recording() {
    for protocol in Subprotocol::ALL {
        let encoding = protocol.encoding;
        let (server, client) = recorded(protocol).split_once("\n\n").unwrap();
        let encoded: Vec<_> = server_frames(encoding)
            .iter()
            .map(|frame| to_line(encoding, &protocol.encode(frame).unwrap()))
            .collect();
        assert_eq!(encoded, server.lines().collect::<Vec<_>>(), "{protocol:?}");
        let expected = client_frames(encoding, protocol.version);
        let decoded: Vec<_> = client
            .lines()
            .map(|line| protocol.decode(&from_line(encoding, line)).unwrap())
            .collect();
        assert_eq!(decoded, expected, "{protocol:?}");
    }
}

#[test]
fn current_clients_encode_the_recorded_frames() {
    for protocol in [Subprotocol::JSON, Subprotocol::POSTCARD] {
        let encoding = protocol.encoding;
        let (_, client) = recorded(protocol).split_once("\n\n").unwrap();
        let written: Vec<_> = client_frames(encoding, protocol.version)
            .iter()
            .map(|frame| to_line(encoding, &encoding.encode(frame).unwrap()))
            .collect();
        assert_eq!(written, client.lines().collect::<Vec<_>>(), "{protocol:?}");
    }
}
