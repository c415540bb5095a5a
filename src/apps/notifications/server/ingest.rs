//! `POST /api/notifications`: the endpoint through which programs with a token send notices. Pure.

use super::super::wire::INGEST_PATH;
use super::request::{NoticeRequest, unprocessable};
use crate::server::notify;
use duplex_axum::ingest::{IngestCommand, IngestEndpoint, IngestError, IngestRequest};

/// Maximum bytes of a body: fits the longest texts in both languages with every character escaped.
const BODY_BYTES: usize = 32 << 10;

pub fn ingest_endpoint() -> IngestEndpoint {
    IngestEndpoint {
        path: INGEST_PATH,
        description: "a notice as JSON, such as {\"to\": \"everyone\", \"title\": \"Hello\"}.",
        body_limit: BODY_BYTES,
        lenient_numbers: false,
        response_fields: None,
        command,
    }
}

fn command(request: &IngestRequest) -> Result<IngestCommand, IngestError> {
    let request = NoticeRequest::parse(&request.body)?;
    let (audience, key) = (request.audience(), request.key.clone());
    let send =
        notify::command(&audience, &request.notice()).map_err(|error| unprocessable(&format!("`to`: {error}")))?;
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

    fn parse(body: Value) -> Result<IngestCommand, IngestError> {
        command(&IngestRequest {
            params: BTreeMap::new(),
            body,
        })
    }

    fn decode_notice(ingest: &IngestCommand) -> Notice {
        let NoticesCommand::Send(notice) = serde_json::from_str(ingest.command.json()).unwrap();
        let for_inbox = ingest.command.decode::<Inbox>();
        assert_eq!(
            for_inbox,
            Ok(InboxCommand::Send(notice.clone())),
            "both kinds accept it"
        );
        notice
    }

    #[test]
    fn only_recipient_and_title_are_required() {
        let ingest = parse(json!({ "to": "everyone", "title": "Hello" })).unwrap();
        assert_eq!((ingest.command.topic().as_str(), &ingest.key), ("notices/all", &None));
        let notice = decode_notice(&ingest);
        assert_eq!(
            (notice.title, notice.body),
            (LocalizedText::untranslated("Hello"), LocalizedText::untranslated(""))
        );
        assert_eq!((notice.level, notice.link, notice.expires), (Level::Info, None, None));
    }

    #[test]
    fn every_field_is_accepted() {
        let body = json!({
            "to": { "visitor": "0123456789abcdef" }, "title": { "ko": "불", "en": "Fire" }, "body": { "en": "Out!" },
            "link": "/devices", "level": "danger", "key": "fire-1", "expires": "2030-01-31T09:00:00Z",
        });
        let ingest = parse(body).unwrap();
        assert_eq!(ingest.command.topic().as_str(), "inbox/0123456789abcdef");
        assert_eq!(ingest.key.as_deref(), Some("fire-1"));
        let notice = decode_notice(&ingest);
        assert_eq!(
            (notice.title, notice.body),
            (LocalizedText::new("불", "Fire"), LocalizedText::untranslated("Out!"))
        );
        assert_eq!(notice.expires, Some(1_896_080_400_000));
        let group = json!({ "to": { "group": "market" }, "title": "x", "expires": 5, "link": null });
        let ingest = parse(group).unwrap();
        assert_eq!(
            (ingest.command.topic().as_str(), decode_notice(&ingest).expires),
            ("notices/market", Some(5))
        );
    }

    #[test]
    fn the_error_names_the_invalid_field() {
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
            (json!({ "titel": "x" }), "unknown field `titel`, expected one of `to`"),
        ] {
            let mut body = json!({ "to": "everyone", "title": "x" });
            body.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            let Err(IngestError::Unprocessable(message)) = parse(body) else {
                panic!("{change} was accepted")
            };
            assert!(message.contains(named), "{change}: {message}");
        }
        assert!(parse(json!([])).is_err());
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
        /// Every body either becomes a command that both topic kinds accept, or is rejected with a message.
        #[test]
        fn every_body_is_accepted_or_rejected(fields in prop::collection::btree_map("to|title|body|link|level|key|expires", values(), 0..7)) {
            match parse(Value::Object(fields.into_iter().collect())) {
                Ok(ingest) => { decode_notice(&ingest); }
                Err(IngestError::Unprocessable(message)) => prop_assert!(message.ends_with('.')),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
