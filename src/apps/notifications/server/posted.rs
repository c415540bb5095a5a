//! The body of `POST /api/notifications`, as programs write it and as the server reads it. Pure; what is wrong with a body is said
//! with the name of the field.

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::wire::{GROUPS, is_group, is_link, is_visitor, moment};
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use duplex_axum::ingest::IngestError;
use duplex_protocol::person::PersonId;

pub(super) const FIELDS: [&str; 7] = ["to", "title", "body", "link", "level", "key", "expires"];

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PostedNotice {
    pub to: To,
    pub title: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    pub level: Level,
    /// Sent again with the same key, it comes once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    Everyone,
    Group(String),
    Visitor(PersonId),
}

/// For all languages, or for each; what is missing is said in the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Text {
    Same(String),
    Each(LocalizedText),
}

/// RFC 3339, or milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Time {
    Text(String),
    Millis(u64),
}

impl PostedNotice {
    /// # Errors
    ///
    /// Says which field is wrong.
    pub fn read(body: &Value) -> Result<Self, IngestError> {
        let fields = body.as_object().ok_or_else(|| bad("The body is no JSON object"))?;
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(bad(&format!("`{unknown}` is no field here: {}", FIELDS.join(", "))));
        }
        Ok(Self {
            title: words(fields, "title")?.ok_or_else(|| bad("`title` is missing"))?,
            body: words(fields, "body")?,
            link: link(fields)?,
            level: level(fields)?,
            expires: expires(fields)?,
            to: to(fields)?,
            key: text(fields, "key")?.map(str::to_owned),
        })
    }

    pub fn audience(&self) -> Audience {
        match &self.to {
            To::Everyone => Audience::Everyone,
            To::Group(group) => Audience::Group(group.clone()),
            To::Visitor(id) => Audience::Person(id.clone()),
        }
    }

    pub fn notice(self) -> Notice {
        Notice {
            title: self.title.words(),
            body: self.body.map_or_else(|| LocalizedText::untranslated(""), Text::words),
            link: self.link,
            level: self.level,
            expires: self.expires.and_then(|expires| expires.millis()),
        }
    }
}

impl Text {
    fn words(self) -> LocalizedText {
        match self {
            Self::Same(text) => LocalizedText::untranslated(&text),
            Self::Each(words) => words,
        }
    }
}

impl Time {
    /// None where the text is no time.
    fn millis(&self) -> Option<u64> {
        match self {
            Self::Text(text) => moment::parse(text),
            Self::Millis(millis) => Some(*millis),
        }
    }
}

pub fn bad(what: &str) -> IngestError {
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

fn words(fields: &Map<String, Value>, name: &str) -> Result<Option<Text>, IngestError> {
    let wrong = || {
        bad(&format!(
            "`{name}` is neither a text nor {{\"ko\": text, \"en\": text}}"
        ))
    };
    match field(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Text::Same(text.clone()))),
        Some(Value::Object(each)) => {
            let known = each
                .iter()
                .all(|(language, text)| ["ko", "en"].contains(&language.as_str()) && text.is_string());
            let in_language = |language: &str| each.get(language).and_then(Value::as_str);
            let (ko, en) = (in_language("ko"), in_language("en"));
            match (known, ko.or(en), en.or(ko)) {
                (true, Some(ko), Some(en)) => Ok(Some(Text::Each(LocalizedText::new(ko, en)))),
                _ => Err(wrong()),
            }
        }
        Some(_) => Err(wrong()),
    }
}

fn to(fields: &Map<String, Value>) -> Result<To, IngestError> {
    let wrong = || bad("`to` is neither \"everyone\" nor {\"group\": name} nor {\"visitor\": id}");
    let to = field(fields, "to").ok_or_else(|| bad("`to` is missing"))?;
    if to == "everyone" {
        return Ok(To::Everyone);
    }
    let to = to.as_object().filter(|to| to.len() == 1).ok_or_else(wrong)?;
    if let Some(group) = text(to, "group").map_err(|_| wrong())? {
        if !is_group(group) {
            return Err(bad(&format!("`to.group` is none of {}", GROUPS.join(", "))));
        }
        return Ok(To::Group(group.to_owned()));
    }
    let id = text(to, "visitor").map_err(|_| wrong())?.ok_or_else(wrong)?;
    let id = PersonId(id.to_owned());
    if !is_visitor(&id) {
        return Err(bad("`to.visitor` is no visitor's id: 32 hexadecimal digits, or 16"));
    }
    Ok(To::Visitor(id))
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

fn expires(fields: &Map<String, Value>) -> Result<Option<Time>, IngestError> {
    let Some(expires) = field(fields, "expires") else {
        return Ok(None);
    };
    let time = match expires {
        Value::String(text) => Some(Time::Text(text.clone())),
        number => number.as_u64().map(Time::Millis),
    };
    let time = time.filter(|time| time.millis().is_some());
    time.map(Some)
        .ok_or_else(|| bad("`expires` is no time: write 2030-01-31T09:00:00Z, or milliseconds since 1970"))
}
