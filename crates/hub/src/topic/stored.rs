//! The storage format of events and states: plain JSON in version 1, a versioned envelope from version 2 on. Stored JSON of an
//! earlier version is converted step by step when it is read.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::decider::{Decider, StoredJson};
use crate::topic::dyn_topic::StateError;
use duplex_protocol::codec::Encoding;

/// Version 1 has no envelope; no event or state starts with this prefix.
const PREFIX: &[u8] = b"{\"$version\":";
const SEPARATOR: &[u8] = b",\"kept\":";
const SUFFIX: &[u8] = b"}";

/// Wraps JSON in its stored form.
pub(super) fn write<D: Decider>(json: Vec<u8>) -> Vec<u8> {
    match D::STORED_VERSION {
        ..=1 => json,
        version => [PREFIX, version.to_string().as_bytes(), SEPARATOR, &json, SUFFIX].concat(),
    }
}

/// Unwraps stored JSON of any known version, converted to the current version.
pub(super) fn read<D: Decider>(stored: StoredJson, json: &[u8]) -> Result<Cow<'_, [u8]>, StateError> {
    let (version, json) = split(json)?;
    if version == D::STORED_VERSION {
        return Ok(Cow::Borrowed(json));
    }
    if !(1..D::STORED_VERSION).contains(&version) {
        return Err(StateError::Version {
            stored: version,
            supported: D::STORED_VERSION,
        });
    }
    let value = Encoding::Json.decode(json)?;
    let upcast = || (version..D::STORED_VERSION).fold(value, |value, version| D::upcast(version, stored, value));
    let value = catch_unwind(AssertUnwindSafe(upcast)).map_err(|_| StateError::Panicked)?;
    Ok(Cow::Owned(Encoding::Json.encode(&value)?))
}

fn split(json: &[u8]) -> Result<(u32, &[u8]), StateError> {
    let Some(rest) = json.strip_prefix(PREFIX) else {
        return Ok((1, json));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (version, rest) = rest.split_at(digits);
    let version = str::from_utf8(version).ok().and_then(|version| version.parse().ok());
    let inner = rest.strip_prefix(SEPARATOR).and_then(|rest| rest.strip_suffix(SUFFIX));
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
    use duplex_protocol::session::{Denial, Rejection};
    use duplex_protocol::topic::{Topic, TopicName};

    /// A kind in version `V`: 1 had a name, 2 two names, 3 a list of names.
    struct Names<const V: u32>;

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct NameList {
        names: Vec<String>,
    }

    impl<const V: u32> Topic for Names<V> {
        const KIND: &'static str = "names";
        type Command = ();
        type Event = NameList;
        type State = NameList;

        fn apply(_state: &mut NameList, _seq: Seq, _event: &NameList) {}
    }

    impl<const V: u32> Decider for Names<V> {
        type ServerCommand = NoCommand;

        const STORED_VERSION: u32 = V;

        fn upcast(version: u32, stored: StoredJson, json: Value) -> Value {
            match (version, stored) {
                (1, StoredJson::Event) => json!({ "first": json["name"], "last": "" }),
                (2, StoredJson::Event) => json!({ "names": [json["first"], json["last"]] }),
                (1, StoredJson::State) => json!({ "all": json["name"] }),
                _ => json!({ "names": [json["all"]] }),
            }
        }

        fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
            Ok(Access::Write)
        }

        fn decide(&self, _context: Context<'_>, _state: &NameList, (): ()) -> Result<Vec<NameList>, Rejection> {
            Ok(Vec::new())
        }
    }

    fn stored<const V: u32>(text: &str) -> Vec<u8> {
        write::<Names<V>>(text.as_bytes().to_vec())
    }

    fn text<const V: u32>(stored: StoredJson, json: &[u8]) -> String {
        String::from_utf8(read::<Names<V>>(stored, json).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn version_1_has_no_envelope_and_each_version_reads_its_own_unchanged() {
        let event = r#"{"names":["a","b"]}"#;
        assert_eq!(stored::<1>(event), event.as_bytes());
        assert_eq!(
            stored::<3>(event),
            format!("{{\"$version\":3,\"kept\":{event}}}").as_bytes()
        );
        assert!(serde_json::from_slice::<Value>(&stored::<3>(event)).is_ok());
        assert_eq!(text::<1>(StoredJson::Event, &stored::<1>(event)), event);
        assert_eq!(text::<3>(StoredJson::Event, &stored::<3>(event)), event);
        assert!(matches!(
            read::<Names<3>>(StoredJson::Event, &stored::<3>(event)),
            Ok(Cow::Borrowed(_))
        ));
    }

    #[test]
    fn json_of_an_earlier_version_is_converted_step_by_step() {
        let (first, second) = (
            stored::<1>(r#"{"name":"Ada"}"#),
            stored::<2>(r#"{"first":"Ada","last":"L"}"#),
        );
        assert_eq!(text::<2>(StoredJson::Event, &first), r#"{"first":"Ada","last":""}"#);
        assert_eq!(text::<3>(StoredJson::Event, &first), r#"{"names":["Ada",""]}"#);
        assert_eq!(text::<3>(StoredJson::Event, &second), r#"{"names":["Ada","L"]}"#);
        assert_eq!(text::<3>(StoredJson::State, &first), r#"{"names":["Ada"]}"#);
    }

    #[test]
    fn a_kind_reads_all_its_versions() {
        let kind = dyn_topic(Names::<3>);
        let (old, new) = (br#"{"name":"Ada"}"#, r#"{"names":["Ada",""]}"#);
        assert_eq!(kind.event_json(old.to_vec()).unwrap(), new.as_bytes());
        assert_eq!(kind.event_json(stored::<3>(new)).unwrap(), new.as_bytes());
        assert_eq!(
            kind.event(old).unwrap().encode(Encoding::Json).unwrap().0,
            new.as_bytes()
        );
        assert_eq!(kind.redacted(old).unwrap().1, stored::<3>(new));
        let mut state = kind.load_state(Some(old)).unwrap();
        assert_eq!(state.state(Encoding::Json).unwrap().0, br#"{"names":["Ada"]}"#);
        state.apply(1, old).unwrap();
        let snapshot = state.snapshot().unwrap();
        assert_eq!(snapshot, stored::<3>(r#"{"names":["Ada"]}"#));
        assert!(kind.load_state(Some(&snapshot)).is_ok());
    }

    #[test]
    fn a_newer_version_is_an_error_that_names_it() {
        let newer = stored::<3>("{}");
        for error in [
            read::<Names<2>>(StoredJson::Event, &newer),
            read::<Names<1>>(StoredJson::State, &newer),
        ] {
            let error = error.unwrap_err();
            assert!(matches!(error, StateError::Version { stored: 3, .. }), "{error}");
            assert!(error.to_string().contains("version 3"), "{error}");
        }
        for broken in [
            "{\"$version\":",
            "{\"$version\":2}",
            "{\"$version\":x,\"kept\":{}}",
            "{\"$version\":0,\"kept\":{}}",
        ] {
            assert!(
                read::<Names<3>>(StoredJson::Event, broken.as_bytes()).is_err(),
                "{broken}"
            );
        }
    }
}
