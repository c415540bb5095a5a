//! Fuzz tests of commands of every kind, in both encodings, against states built from fuzzed commands.

#![cfg(test)]

use proptest::prelude::*;

use crate::apps::server::Apps;
use duplex_fuzz::{fuzz, run, sequences};
use duplex_hub::decider::{Context, Principal};
use duplex_hub::session::{Session, SessionAction};
use duplex_hub::topic::{DecideError, DynTopic};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{ClientFrame, MAX_BUILD, MAX_COMMAND, MAX_SUBSCRIPTIONS, ServerFrame};
use duplex_protocol::topic::TopicName;

/// Maximum state in bytes: it is sent as one message.
const MAX_STATE: usize = 4 << 20;

fn visitors() -> [Person; 2] {
    let visitor = |id: &str, name: &str| Person {
        id: PersonId(id.to_owned()),
        name: name.to_owned(),
    };
    [
        visitor("00000000000000aa", "Kim"),
        visitor("00000000000000bb", "\u{202e}\u{2028}"),
    ]
}

/// A valid topic of a kind.
fn topic(kind: &str) -> TopicName {
    let rest = match kind {
        "chat" => "lobby",
        "inbox" | "alerts" => "00000000000000aa",
        "candles" => "abc",
        "device" => "oven-1",
        "compare" => "0f",
        "status" => "node",
        _ => "all",
    };
    format!("{kind}/{rest}").parse().unwrap()
}

/// Decides all commands. Checks that nothing panics, that the state stays bounded, and that events and state can be decoded again.
/// Returns the number of events.
fn decide_all(kind: &dyn DynTopic, commands: &[(Vec<u8>, Encoding, usize, u64)]) -> Seq {
    let (topic, [first, second]) = (topic(kind.name()), visitors());
    let senders = [
        Principal::visitor(&first),
        Principal::visitor(&second),
        Principal::program(),
        Principal::server(),
    ];
    let mut projection = kind.load_state(None).unwrap();
    let mut next: Seq = 1;
    for (bytes, encoding, who, now) in commands {
        let sender = senders[who % senders.len()];
        let context = Context {
            topic: &topic,
            sender: sender.person,
            sender_kind: sender.sender_kind,
            authority: duplex_hub::Authority::VISITOR,
            now: *now,
            next_seq: next,
        };
        match projection.decide(context, &EncodedValue(bytes.clone()), *encoding) {
            Ok(outcome) => {
                for made in &outcome {
                    let event = kind.event(&made.json).unwrap();
                    assert!(Encoding::ALL.into_iter().all(|encoding| event.encode(encoding).is_ok()));
                }
                next += outcome.len() as Seq;
            }
            Err(DecideError::Rejected(_)) => {}
            Err(DecideError::Broken(error)) => panic!("{topic}: {error}: {}", bytes.escape_ascii()),
        }
    }
    let EncodedValue(state) = projection.state(Encoding::Json).unwrap();
    assert!(state.len() <= MAX_STATE, "{topic} has a state of {} bytes", state.len());
    let restored = kind.load_state(Some(&state)).unwrap_or_else(|error| {
        let state = String::from_utf8_lossy(&state);
        panic!("{topic} has a state that cannot be read again: {error}: {state}")
    });
    assert!(restored.state(Encoding::Postcard).is_ok());
    assert_eq!(restored.state(Encoding::Json).unwrap().0, state, "{topic}");
    next - 1
}

#[test]
fn commands_never_panic_and_states_stay_bounded() {
    for kind in Apps::default().kinds() {
        let corpus = format!("commands/{}", kind.name());
        let times = prop_oneof![4 => Just(1_000_000_u64), 1 => any::<u64>(), 1 => Just(0), 1 => Just(u64::MAX)];
        let parameters = (any::<bool>(), 0..4_usize, times);
        let commands =
            (sequences(&corpus, 16), prop::collection::vec(parameters, 16)).prop_map(|(commands, parameters)| {
                let with = |(bytes, (json, who, now))| {
                    (bytes, if json { Encoding::Json } else { Encoding::Postcard }, who, now)
                };
                commands.into_iter().zip(parameters).map(with).collect::<Vec<_>>()
            });
        let seeds: Vec<_> = duplex_fuzz::corpus(&corpus)
            .into_iter()
            .flat_map(|bytes| (0..4).map(move |who| (bytes.clone(), Encoding::Json, who, 1_000_000)))
            .collect();
        let events = decide_all(kind.as_ref(), &seeds);
        assert!(events > 0, "{}: no command of the corpus is accepted", kind.name());
        run(commands, |commands| {
            decide_all(kind.as_ref(), &commands);
        });
    }
}

/// A session accepts every frame that can be decoded, and enforces its limits.
#[test]
fn client_frames_round_trip_within_limits() {
    fuzz("client-frames", |bytes| {
        for encoding in Encoding::ALL {
            let Ok(frame) = encoding.decode::<ClientFrame>(bytes) else {
                continue;
            };
            let written = encoding.encode(&frame).unwrap();
            assert_eq!(encoding.decode::<ClientFrame>(&written).as_ref(), Ok(&frame));
            let mut session = Session::new(50);
            let hello = ClientFrame::Hello {
                build: String::new(),
                name: None,
            };
            let _ = session.on_frame(frame.clone(), std::time::Duration::ZERO);
            let _ = session.on_frame(hello, std::time::Duration::ZERO);
            match session.on_frame(frame, std::time::Duration::from_secs(1)) {
                Ok(SessionAction::Command { command, .. }) => assert!(command.0.len() <= MAX_COMMAND),
                Ok(SessionAction::Welcome { name }) => assert!(name.is_none_or(|name| name.chars().count() <= 24)),
                Ok(SessionAction::Send(frame)) => assert!(
                    Encoding::ALL
                        .into_iter()
                        .all(|encoding| encoding.encode(&frame).is_ok())
                ),
                _ => {}
            }
        }
    });
    const { assert!(MAX_BUILD < MAX_COMMAND && MAX_SUBSCRIPTIONS < 1_000) };
}

/// Server frames are decoded in the browser by the same code.
#[test]
fn server_frames_round_trip() {
    fuzz("server-frames", |bytes| {
        for encoding in Encoding::ALL {
            if let Ok(frame) = encoding.decode::<ServerFrame>(bytes) {
                let written = encoding.encode(&frame).unwrap();
                assert_eq!(encoding.decode::<ServerFrame>(&written), Ok(frame));
            }
        }
    });
}
