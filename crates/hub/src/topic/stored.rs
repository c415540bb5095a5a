//! The form in which the log keeps events and states: JSON, and from version 2 of a kind on with the number of its version. What an
//! earlier version kept is brought to today's form as it is read, step by step. Knows no log.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::decider::{Decider, Kept};
use crate::topic::dyn_topic::StateError;
use duplex_protocol::codec::Encoding;

/// The first version is written bare; no event and no state begins like this.
const BEGIN: &[u8] = b"{\"$version\":";
const THEN: &[u8] = b",\"kept\":";
const END: &[u8] = b"}";

/// As the log keeps it.
pub(super) fn write<D: Decider>(json: Vec<u8>) -> Vec<u8> {
    match D::KEPT_VERSION {
        ..=1 => json,
        version => [BEGIN, version.to_string().as_bytes(), THEN, &json, END].concat(),
    }
}

/// As today's types know it, from whichever version it is of.
pub(super) fn read<D: Decider>(kept: Kept, json: &[u8]) -> Result<Cow<'_, [u8]>, StateError> {
    let (version, json) = split(json)?;
    if version == D::KEPT_VERSION {
        return Ok(Cow::Borrowed(json));
    }
    if !(1..D::KEPT_VERSION).contains(&version) {
        let known = D::KEPT_VERSION;
        return Err(StateError::Version { found: version, known });
    }
    let value = Encoding::Json.decode(json)?;
    let upcast = || (version..D::KEPT_VERSION).fold(value, |value, version| D::upcast(version, kept, value));
    let value = catch_unwind(AssertUnwindSafe(upcast)).map_err(|_| StateError::Panicked)?;
    Ok(Cow::Owned(Encoding::Json.encode(&value)?))
}

fn split(json: &[u8]) -> Result<(u32, &[u8]), StateError> {
    let Some(rest) = json.strip_prefix(BEGIN) else {
        return Ok((1, json));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (version, rest) = rest.split_at(digits);
    let version = str::from_utf8(version).ok().and_then(|version| version.parse().ok());
    let inner = rest.strip_prefix(THEN).and_then(|rest| rest.strip_suffix(END));
    version.zip(inner).ok_or(StateError::NoVersion)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::*;
    use crate::decider::{Access, Context, NoCommand, Principal};
    use crate::topic::dyn_topic::dyn_topic;
    use duplex_protocol::cursor::Seq;
    use duplex_protocol::session::{Denied, Rejection};
    use duplex_protocol::topic::{Topic, TopicName};

    /// A kind in its version `V`: 1 knew a name, 2 two names, 3 a list of them.
    struct Names<const V: u32>;

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct Joined {
        names: Vec<String>,
    }

    impl<const V: u32> Topic for Names<V> {
        const KIND: &'static str = "names";
        type Command = ();
        type Event = Joined;
        type State = Joined;

        fn apply(_state: &mut Joined, _seq: Seq, _event: &Joined) {}
    }

    impl<const V: u32> Decider for Names<V> {
        type ServerCommand = NoCommand;

        const KEPT_VERSION: u32 = V;

        fn upcast(version: u32, kept: Kept, json: Value) -> Value {
            match (version, kept) {
                (1, Kept::Event) => json!({ "first": json["name"], "last": "" }),
                (2, Kept::Event) => json!({ "names": [json["first"], json["last"]] }),
                (1, Kept::State) => json!({ "all": json["name"] }),
                _ => json!({ "names": [json["all"]] }),
            }
        }

        fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denied> {
            Ok(Access::Write)
        }

        fn decide(&self, _at: Context<'_>, _state: &Joined, (): ()) -> Result<Vec<Joined>, Rejection> {
            Ok(Vec::new())
        }
    }

    fn kept<const V: u32>(text: &str) -> Vec<u8> {
        write::<Names<V>>(text.as_bytes().to_vec())
    }

    fn text<const V: u32>(kept: Kept, json: &[u8]) -> String {
        String::from_utf8(read::<Names<V>>(kept, json).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn the_first_version_is_bare_and_each_reads_its_own_as_it_is() {
        let event = r#"{"names":["a","b"]}"#;
        assert_eq!(kept::<1>(event), event.as_bytes());
        assert_eq!(
            kept::<3>(event),
            format!("{{\"$version\":3,\"kept\":{event}}}").as_bytes()
        );
        assert!(serde_json::from_slice::<Value>(&kept::<3>(event)).is_ok());
        assert_eq!(text::<1>(Kept::Event, &kept::<1>(event)), event);
        assert_eq!(text::<3>(Kept::Event, &kept::<3>(event)), event);
        assert!(matches!(
            read::<Names<3>>(Kept::Event, &kept::<3>(event)),
            Ok(Cow::Borrowed(_))
        ));
    }

    #[test]
    fn what_an_earlier_version_kept_goes_up_step_by_step() {
        let (first, second) = (
            kept::<1>(r#"{"name":"Ada"}"#),
            kept::<2>(r#"{"first":"Ada","last":"L"}"#),
        );
        assert_eq!(text::<2>(Kept::Event, &first), r#"{"first":"Ada","last":""}"#);
        assert_eq!(text::<3>(Kept::Event, &first), r#"{"names":["Ada",""]}"#);
        assert_eq!(text::<3>(Kept::Event, &second), r#"{"names":["Ada","L"]}"#);
        assert_eq!(text::<3>(Kept::State, &first), r#"{"names":["Ada"]}"#);
    }

    #[test]
    fn a_kind_knows_all_that_it_ever_kept() {
        let kind = dyn_topic(Names::<3>);
        let (old, new) = (br#"{"name":"Ada"}"#, r#"{"names":["Ada",""]}"#);
        assert_eq!(kind.current(old.to_vec()).unwrap(), new.as_bytes());
        assert_eq!(kind.current(kept::<3>(new)).unwrap(), new.as_bytes());
        assert_eq!(
            kind.event(old).unwrap().encode(Encoding::Json).unwrap().0,
            new.as_bytes()
        );
        assert_eq!(kind.redacted(old).unwrap().1, kept::<3>(new));
        let mut fold = kind.fold(Some(old)).unwrap();
        assert_eq!(fold.state(Encoding::Json).unwrap().0, br#"{"names":["Ada"]}"#);
        fold.apply(1, old).unwrap();
        let snapshot = fold.snapshot().unwrap();
        assert_eq!(snapshot, kept::<3>(r#"{"names":["Ada"]}"#));
        assert!(kind.fold(Some(&snapshot)).is_ok());
    }

    #[test]
    fn what_a_newer_version_kept_is_refused_by_name() {
        let newer = kept::<3>("{}");
        for error in [
            read::<Names<2>>(Kept::Event, &newer),
            read::<Names<1>>(Kept::State, &newer),
        ] {
            let error = error.unwrap_err();
            assert!(matches!(error, StateError::Version { found: 3, .. }), "{error}");
            assert!(error.to_string().contains("version 3"), "{error}");
        }
        for broken in [
            "{\"$version\":",
            "{\"$version\":2}",
            "{\"$version\":x,\"kept\":{}}",
            "{\"$version\":0,\"kept\":{}}",
        ] {
            assert!(read::<Names<3>>(Kept::Event, broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
