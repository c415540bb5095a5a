//! `POST /api/notifications`: any program that shows the token sends a notification. Pure.

use super::super::wire::INLET;
use super::posted::{PostedNotice, bad};
use crate::server::notify;
use duplex_axum::ingest::{IngestCommand, IngestEndpoint, IngestError, IngestRequest};

/// The longest texts in two languages, each character escaped, and what stands around them.
const BODY_BYTES: usize = 32 << 10;

pub fn ingest_endpoint() -> IngestEndpoint {
    IngestEndpoint {
        path: INLET,
        purpose: "a notification as JSON, such as {\"to\": \"everyone\", \"title\": \"Hello\"}.",
        body_limit: BODY_BYTES,
        lenient_numbers: false,
        outcome: None,
        command,
    }
}

fn command(request: &IngestRequest) -> Result<IngestCommand, IngestError> {
    let posted = PostedNotice::read(&request.body)?;
    let (audience, key) = (posted.audience(), posted.key.clone());
    let send = notify::command(&audience, &posted.notice()).map_err(|error| bad(&format!("`to`: {error}")))?;
    Ok(IngestCommand::from(send).with_key(key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::NoticesCommand;
    use super::*;
    use crate::apps::notifications::wire::{Inbox, InboxCommand};
    use crate::wire::notice::{Level, LocalizedText, Notice};

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
        assert_eq!(
            (notice.title, notice.body),
            (LocalizedText::untranslated("Hello"), LocalizedText::untranslated(""))
        );
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
            (LocalizedText::new("불", "Fire"), LocalizedText::untranslated("Out!"))
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
