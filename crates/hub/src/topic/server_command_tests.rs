//! Tests: the sender of a command decides the type that it is decoded as.

use serde::{Deserialize, Serialize};

use crate::command::TopicCommand;
use crate::decider::{Access, Context, Decider, NoCommand, Principal, ServerCommand};
use crate::rights::Authority;
use crate::topic::dyn_topic::{DecideError, dyn_topic};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

/// Visitors send [`VisitorCommand`]; the server sends [`GateCommand`]; programs do too if `PROGRAMS`.
struct Gate<const PROGRAMS: bool>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum VisitorCommand {
    Ring,
    Reserved(NoCommand),
    Leave,
}

/// Has the same postcard bytes as [`VisitorCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum GateCommand {
    Open,
    Close { reason: String },
}

impl<const PROGRAMS: bool> Topic for Gate<PROGRAMS> {
    const KIND: &'static str = "gate";
    type Command = VisitorCommand;
    type Event = String;
    type State = ();

    fn apply(_: &mut (), _: Seq, _: &String) {}
}

impl<const PROGRAMS: bool> Decider for Gate<PROGRAMS> {
    type ServerCommand = GateCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, (): &(), command: VisitorCommand) -> Result<Vec<String>, Rejection> {
        Ok(vec![format!("{command:?}")])
    }
}

impl<const PROGRAMS: bool> ServerCommand<Gate<PROGRAMS>> for GateCommand {
    const ACCEPTED_FROM_PROGRAMS: bool = PROGRAMS;

    fn decide(self, _: &Gate<PROGRAMS>, _: Context<'_>, (): &()) -> Result<Vec<String>, Rejection> {
        Ok(vec![format!("{self:?}")])
    }
}

/// The event of the command.
fn decided<const PROGRAMS: bool>(
    who: Principal<'_>,
    command: &impl Serialize,
    encoding: Encoding,
) -> Result<String, Rejection> {
    let kind = dyn_topic(Gate::<PROGRAMS>);
    let context = Context {
        topic: &"gate/a".parse().unwrap(),
        sender: who.person,
        sender_kind: who.sender_kind,
        authority: Authority::OPERATOR,
        now: 1,
        next_seq: 1,
    };
    let command = EncodedValue::encode(encoding, command).unwrap();
    match kind.load_state(None).unwrap().decide(context, &command, encoding) {
        Ok(events) => Ok(serde_json::from_slice(&events[0].json).unwrap()),
        Err(DecideError::Rejected(why)) => Err(why),
        Err(DecideError::Broken(error)) => panic!("{error}"),
    }
}

fn close() -> GateCommand {
    let reason = "night".to_owned();
    GateCommand::Close { reason }
}

fn is_malformed<T>(decided: Result<T, Rejection>) -> bool {
    matches!(decided, Err(Rejection::Malformed { .. }))
}

#[test]
fn visitors_and_programs_cannot_send_server_commands() {
    let person = Person {
        id: PersonId("0".repeat(15) + "1"),
        name: String::new(),
    };
    for who in [Principal::visitor(&person), Principal::program()] {
        for encoding in Encoding::ALL {
            let ring = decided::<false>(who, &VisitorCommand::Ring, encoding);
            assert_eq!(ring, Ok("Ring".to_owned()));
            assert!(is_malformed(decided::<false>(who, &close(), encoding)));
        }
        assert!(is_malformed(decided::<false>(who, &GateCommand::Open, Encoding::Json)));
        let open = decided::<false>(who, &GateCommand::Open, Encoding::Postcard);
        assert_eq!(
            open,
            Ok("Ring".to_owned()),
            "decoded as the visitor's command of these bytes"
        );
    }
}

#[test]
fn the_server_sends_both_types_and_programs_if_allowed() {
    let json = Encoding::Json;
    let server = Principal::server();
    assert_eq!(
        decided::<false>(server, &GateCommand::Open, json),
        Ok("Open".to_owned())
    );
    assert_eq!(
        decided::<false>(server, &VisitorCommand::Ring, json),
        Ok("Ring".to_owned())
    );
    assert!(is_malformed(decided::<false>(server, &"Sing", json)));
    for encoding in Encoding::ALL {
        let open = decided::<true>(Principal::program(), &GateCommand::Open, encoding);
        assert_eq!(open, Ok("Open".to_owned()));
    }
    assert!(is_malformed(decided::<true>(
        Principal::program(),
        &VisitorCommand::Ring,
        json
    )));
}

#[test]
fn a_reserved_variant_keeps_the_indexes_of_the_later_ones() {
    let leave = Encoding::Postcard.encode(&VisitorCommand::Leave).unwrap();
    assert_eq!(leave, [2]);
    for bytes in [&[1][..], &[1, 0], &[1, 5, b'n']] {
        assert!(Encoding::Postcard.decode::<VisitorCommand>(bytes).is_err(), "{bytes:?}");
    }
    for json in [r#""Reserved""#, r#"{"Reserved":null}"#, r#"{"Reserved":{"a":1}}"#] {
        assert!(
            Encoding::Json.decode::<VisitorCommand>(json.as_bytes()).is_err(),
            "{json}"
        );
    }
}

#[test]
fn a_server_command_is_json() {
    let command = TopicCommand::server_command::<Gate<false>>("a", &close()).unwrap();
    assert_eq!(command.topic().as_str(), "gate/a");
    assert_eq!(command.json(), r#"{"Close":{"reason":"night"}}"#);
    assert!(command.decode::<Gate<false>>().is_err());
    assert!(TopicCommand::server_command::<Gate<false>>("A", &GateCommand::Open).is_err());
}
