//! The body of `POST /api/notifications`, serialized by the CLI and parsed by the server. Pure; an error names the invalid field.

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::wire::{GROUPS, is_group, is_link, is_visitor_id, timestamp};
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use duplex_axum::ingest::IngestError;
use duplex_protocol::person::PersonId;

pub(super) const FIELDS: [&str; 7] = ["to", "title", "body", "link", "level", "key", "expires"];

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoticeRequest {
    pub to: Recipient,
    pub title: RequestText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<RequestText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    pub level: Level,
    /// The idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    Everyone,
    Group(String),
    Visitor(PersonId),
}

/// One text for all languages, or one for each. A missing language falls back to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RequestText {
    Single(String),
    PerLocale(LocalizedText),
}

/// RFC 3339, or milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Timestamp {
    Rfc3339(String),
    Millis(u64),
}

impl NoticeRequest {
    /// # Errors
    ///
    /// Names the invalid field.
    pub fn parse(body: &Value) -> Result<Self, IngestError> {
        let fields = body
            .as_object()
            .ok_or_else(|| unprocessable("The body is not a JSON object"))?;
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(unprocessable(&format!(
                "unknown field `{unknown}`, expected one of `{}`",
                FIELDS.join("`, `")
            )));
        }
        Ok(Self {
            title: localized_text(fields, "title")?.ok_or_else(|| unprocessable("`title` is missing"))?,
            body: localized_text(fields, "body")?,
            link: link(fields)?,
            level: level(fields)?,
            expires: expires(fields)?,
            to: to(fields)?,
            key: text(fields, "key")?.map(str::to_owned),
        })
    }

    pub fn audience(&self) -> Audience {
        match &self.to {
            Recipient::Everyone => Audience::Everyone,
            Recipient::Group(group) => Audience::Group(group.clone()),
            Recipient::Visitor(id) => Audience::Person(id.clone()),
        }
    }

    pub fn notice(self) -> Notice {
        Notice {
            title: self.title.localized(),
            body: self
                .body
                .map_or_else(|| LocalizedText::untranslated(""), RequestText::localized),
            link: self.link,
            level: self.level,
            expires: self.expires.and_then(|expires| expires.millis()),
        }
    }
}

impl RequestText {
    fn localized(self) -> LocalizedText {
        match self {
            Self::Single(text) => LocalizedText::untranslated(&text),
            Self::PerLocale(texts) => texts,
        }
    }
}

impl Timestamp {
    /// `None` if the text is not an RFC 3339 time.
    fn millis(&self) -> Option<u64> {
        match self {
            Self::Rfc3339(text) => timestamp::parse_rfc3339(text),
            Self::Millis(millis) => Some(*millis),
        }
    }
}

pub fn unprocessable(message: &str) -> IngestError {
    IngestError::Unprocessable(format!("{message}."))
}

/// The field's value; null counts as absent.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, IngestError> {
    let as_text = |value: &'a Value| {
        value
            .as_str()
            .ok_or_else(|| unprocessable(&format!("`{name}` is not a string")))
    };
    field(fields, name).map(as_text).transpose()
}

fn localized_text(fields: &Map<String, Value>, name: &str) -> Result<Option<RequestText>, IngestError> {
    let invalid = || {
        unprocessable(&format!(
            "`{name}` is neither a string nor {{\"ko\": string, \"en\": string}}"
        ))
    };
    match field(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(RequestText::Single(text.clone()))),
        Some(Value::Object(each)) => {
            let is_valid = each
                .iter()
                .all(|(language, text)| ["ko", "en"].contains(&language.as_str()) && text.is_string());
            let in_language = |language: &str| each.get(language).and_then(Value::as_str);
            let (ko, en) = (in_language("ko"), in_language("en"));
            match (is_valid, ko.or(en), en.or(ko)) {
                (true, Some(ko), Some(en)) => Ok(Some(RequestText::PerLocale(LocalizedText::new(ko, en)))),
                _ => Err(invalid()),
            }
        }
        Some(_) => Err(invalid()),
    }
}

fn to(fields: &Map<String, Value>) -> Result<Recipient, IngestError> {
    let invalid = || unprocessable("`to` is neither \"everyone\" nor {\"group\": name} nor {\"visitor\": id}");
    let to = field(fields, "to").ok_or_else(|| unprocessable("`to` is missing"))?;
    if to == "everyone" {
        return Ok(Recipient::Everyone);
    }
    let to = to.as_object().filter(|to| to.len() == 1).ok_or_else(invalid)?;
    if let Some(group) = text(to, "group").map_err(|_| invalid())? {
        if !is_group(group) {
            return Err(unprocessable(&format!("`to.group` is none of {}", GROUPS.join(", "))));
        }
        return Ok(Recipient::Group(group.to_owned()));
    }
    let id = text(to, "visitor").map_err(|_| invalid())?.ok_or_else(invalid)?;
    let id = PersonId(id.to_owned());
    if !is_visitor_id(&id) {
        return Err(unprocessable(
            "`to.visitor` is not a visitor's id of 32 or 16 hexadecimal digits",
        ));
    }
    Ok(Recipient::Visitor(id))
}

fn link(fields: &Map<String, Value>) -> Result<Option<String>, IngestError> {
    match text(fields, "link")? {
        Some(link) if !is_link(link) => Err(unprocessable(
            "`link` is neither a path of this site, such as /chat, nor an http or https URL",
        )),
        link => Ok(link.map(str::to_owned)),
    }
}

fn level(fields: &Map<String, Value>) -> Result<Level, IngestError> {
    let Some(level) = field(fields, "level") else {
        return Ok(Level::Info);
    };
    serde_json::from_value(level.clone())
        .map_err(|_| unprocessable("`level` is none of \"info\", \"success\", \"warning\", \"danger\""))
}

fn expires(fields: &Map<String, Value>) -> Result<Option<Timestamp>, IngestError> {
    let Some(expires) = field(fields, "expires") else {
        return Ok(None);
    };
    let time = match expires {
        Value::String(text) => Some(Timestamp::Rfc3339(text.clone())),
        number => number.as_u64().map(Timestamp::Millis),
    };
    let time = time.filter(|time| time.millis().is_some());
    time.map(Some).ok_or_else(|| {
        unprocessable("`expires` is neither a time such as 2030-01-31T09:00:00Z nor milliseconds since 1970")
    })
}
