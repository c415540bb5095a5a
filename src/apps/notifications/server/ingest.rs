//! `POST /api/notifications`: any program that shows the token sends a notification. Pure; what is wrong with a call is
//! said with the name of the field.

use serde_json::{Map, Value};

use super::super::wire::{GROUPS, INLET, is_group, is_link, is_visitor, moment};
use crate::server::notify;
use crate::wire::notice::{Audience, Level, Notice, Words};
use duplex_axum::ingest::{IngestCommand, IngestEndpoint, IngestError, IngestRequest};
use duplex_protocol::person::PersonId;

/// The longest texts in two languages, each character escaped, and what stands around them.
const BODY_BYTES: usize = 32 << 10;
const FIELDS: [&str; 7] = ["to", "title", "body", "link", "level", "key", "expires"];

pub fn ingest_endpoint() -> IngestEndpoint {
    IngestEndpoint {
        path: INLET,
        purpose: "a notification as JSON, such as {\"to\": \"everyone\", \"title\": \"Hello\"}.",
        body_limit: BODY_BYTES,
        mends_numbers: false,
        outcome: None,
        command,
    }
}

fn command(request: &IngestRequest) -> Result<IngestCommand, IngestError> {
    let fields = request
        .body
        .as_object()
        .ok_or_else(|| bad("The body is no JSON object"))?;
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(bad(&format!("`{unknown}` is no field here: {}", FIELDS.join(", "))));
    }
    let notice = Notice {
        title: words(fields, "title")?.ok_or_else(|| bad("`title` is missing"))?,
        body: words(fields, "body")?.unwrap_or_else(|| Words::same("")),
        link: link(fields)?,
        level: level(fields)?,
        expires: expires(fields)?,
    };
    let send = notify::command(&audience(fields)?, &notice).map_err(|error| bad(&format!("`to`: {error}")))?;
    let key = text(fields, "key")?.map(str::to_owned);
    Ok(IngestCommand::from(send).with_key(key))
}

fn bad(what: &str) -> IngestError {
    IngestError::Unprocessable(format!("{what}."))
}

/// A field that is null is as good as none.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, IngestError> {
    let read = |value: &'a Value| value.as_str().ok_or_else(|| bad(&format!("`{name}` is no text")));
    field(fields, name).map(read).transpose()
}

/// A text for all languages, or one for each; what is missing is said in the other.
fn words(fields: &Map<String, Value>, name: &str) -> Result<Option<Words>, IngestError> {
    let wrong = || {
        bad(&format!(
            "`{name}` is neither a text nor {{\"ko\": text, \"en\": text}}"
        ))
    };
    match field(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Words::same(text))),
        Some(Value::Object(each)) => {
            let known = each
                .iter()
                .all(|(language, text)| ["ko", "en"].contains(&language.as_str()) && text.is_string());
            let in_language = |language: &str| each.get(language).and_then(Value::as_str);
            let (ko, en) = (in_language("ko"), in_language("en"));
            match (known, ko.or(en), en.or(ko)) {
                (true, Some(ko), Some(en)) => Ok(Some(Words::new(ko, en))),
                _ => Err(wrong()),
            }
        }
        Some(_) => Err(wrong()),
    }
}

fn audience(fields: &Map<String, Value>) -> Result<Audience, IngestError> {
    let wrong = || bad("`to` is neither \"everyone\" nor {\"group\": name} nor {\"visitor\": id}");
    let to = field(fields, "to").ok_or_else(|| bad("`to` is missing"))?;
    if to == "everyone" {
        return Ok(Audience::Everyone);
    }
    let to = to.as_object().filter(|to| to.len() == 1).ok_or_else(wrong)?;
    if let Some(group) = text(to, "group").map_err(|_| wrong())? {
        if !is_group(group) {
            return Err(bad(&format!("`to.group` is none of {}", GROUPS.join(", "))));
        }
        return Ok(Audience::Group(group.to_owned()));
    }
    let id = text(to, "visitor").map_err(|_| wrong())?.ok_or_else(wrong)?;
    let id = PersonId(id.to_owned());
    if !is_visitor(&id) {
        return Err(bad("`to.visitor` is no visitor's id: 32 hexadecimal digits, or 16"));
    }
    Ok(Audience::Person(id))
}

fn link(fields: &Map<String, Value>) -> Result<Option<String>, IngestError> {
    match text(fields, "link")? {
        Some(link) if !is_link(link) => Err(bad(
            "`link` is neither a path of this site, such as /chat, nor an http or https address",
        )),
        link => Ok(link.map(str::to_owned)),
    }
}

fn level(fields: &Map<String, Value>) -> Result<Level, IngestError> {
    let Some(level) = field(fields, "level") else {
        return Ok(Level::Info);
    };
    serde_json::from_value(level.clone())
        .map_err(|_| bad("`level` is none of \"info\", \"success\", \"warning\", \"danger\""))
}

/// RFC 3339, or milliseconds since 1970.
fn expires(fields: &Map<String, Value>) -> Result<Option<u64>, IngestError> {
    let Some(expires) = field(fields, "expires") else {
        return Ok(None);
    };
    let at = match expires {
        Value::String(text) => moment::parse(text),
        number => number.as_u64(),
    };
    at.map(Some)
        .ok_or_else(|| bad("`expires` is no time: write 2030-01-31T09:00:00Z, or milliseconds since 1970"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::NoticesCommand;
    use super::*;
    use crate::apps::notifications::wire::{Inbox, InboxCommand};

    fn call(body: Value) -> Result<IngestCommand, IngestError> {
        command(&IngestRequest {
            params: BTreeMap::new(),
            body,
        })
    }

    fn sent(ingest: &IngestCommand) -> Notice {
        let NoticesCommand::Send(notice) = serde_json::from_str(ingest.command.json()).unwrap();
        let same = ingest.command.decode::<Inbox>();
        assert_eq!(same, Ok(InboxCommand::Send(notice.clone())), "both kinds take it");
        notice
    }

    #[test]
    fn little_is_enough() {
        let ingest = call(json!({ "to": "everyone", "title": "Hello" })).unwrap();
        assert_eq!((ingest.command.topic().as_str(), &ingest.key), ("notices/all", &None));
        let notice = sent(&ingest);
        assert_eq!((notice.title, notice.body), (Words::same("Hello"), Words::same("")));
        assert_eq!((notice.level, notice.link, notice.expires), (Level::Info, None, None));
    }

    #[test]
    fn everything_can_be_said() {
        let body = json!({
            "to": { "visitor": "0123456789abcdef" }, "title": { "ko": "불", "en": "Fire" }, "body": { "en": "Out!" },
            "link": "/devices", "level": "danger", "key": "fire-1", "expires": "2030-01-31T09:00:00Z",
        });
        let ingest = call(body).unwrap();
        assert_eq!(ingest.command.topic().as_str(), "inbox/0123456789abcdef");
        assert_eq!(ingest.key.as_deref(), Some("fire-1"));
        let notice = sent(&ingest);
        assert_eq!(
            (notice.title, notice.body),
            (Words::new("불", "Fire"), Words::same("Out!"))
        );
        assert_eq!(notice.expires, Some(1_896_080_400_000));
        let group = json!({ "to": { "group": "market" }, "title": "x", "expires": 5, "link": null });
        let ingest = call(group).unwrap();
        assert_eq!(
            (ingest.command.topic().as_str(), sent(&ingest).expires),
            ("notices/market", Some(5))
        );
    }

    #[test]
    fn the_wrong_field_is_named() {
        for (change, named) in [
            (json!({ "to": null }), "`to` is missing"),
            (json!({ "to": "nobody" }), "`to`"),
            (json!({ "to": {} }), "`to`"),
            (json!({ "to": { "group": "market", "visitor": "x" } }), "`to`"),
            (
                json!({ "to": { "group": "nobody" } }),
                "`to.group` is none of news, market, devices",
            ),
            (json!({ "to": { "group": 5 } }), "`to`"),
            (json!({ "to": { "visitor": "ffffffffffffffff" } }), "`to.visitor`"),
            (json!({ "title": null }), "`title` is missing"),
            (json!({ "title": 5 }), "`title`"),
            (json!({ "title": {} }), "`title`"),
            (json!({ "body": { "ko": "a", "fr": "b" } }), "`body`"),
            (json!({ "link": "javascript:alert(1)" }), "`link`"),
            (json!({ "link": 1 }), "`link`"),
            (json!({ "level": "fatal" }), "`level`"),
            (json!({ "key": 1 }), "`key`"),
            (json!({ "expires": "tomorrow" }), "`expires`"),
            (json!({ "expires": -1 }), "`expires`"),
            (json!({ "titel": "x" }), "`titel` is no field here"),
        ] {
            let mut body = json!({ "to": "everyone", "title": "x" });
            body.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            let Err(IngestError::Unprocessable(told)) = call(body) else {
                panic!("{change} was taken")
            };
            assert!(told.contains(named), "{change}: {told}");
        }
        assert!(call(json!([])).is_err());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "everyone|market|info|/x|.{0,9}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop::collection::btree_map("ko|en|group|visitor", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        })
    }

    proptest! {
        /// Whatever a program posts: it is a command of both kinds, or it is refused in words.
        #[test]
        fn nothing_that_is_posted_breaks(fields in prop::collection::btree_map("to|title|body|link|level|key|expires", values(), 0..7)) {
            match call(Value::Object(fields.into_iter().collect())) {
                Ok(ingest) => { sent(&ingest); }
                Err(IngestError::Unprocessable(told)) => prop_assert!(told.ends_with('.')),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
