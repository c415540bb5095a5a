//! Notices: messages from applications to visitors on any page. The notifications application owns their topics and displays
//! them; the topics, named here, accept the command `{"send": Notice}`.

use serde::{Deserialize, Serialize};

use duplex_protocol::person::PersonId;
use duplex_protocol::topic::{ParseTopicNameError, TopicName};

/// The topic kinds of public notices, and of notices to one person.
pub const PUBLIC_KIND: &str = "notices";
pub const INBOX_KIND: &str = "inbox";

/// The public topic for all visitors; each other public topic is a group.
pub const EVERYONE: &str = "all";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Success,
    Warning,
    Danger,
}

/// A text in each language of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalizedText {
    pub ko: String,
    pub en: String,
}

impl LocalizedText {
    pub fn new(ko: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            ko: ko.into(),
            en: en.into(),
        }
    }

    /// The same text for all languages.
    pub fn untranslated(text: &str) -> Self {
        Self::new(text, text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub title: LocalizedText,
    /// May be empty.
    pub body: LocalizedText,
    /// Link target: a path of this site, or an `http` or `https` URL.
    pub link: Option<String>,
    pub level: Level,
    /// Unix milliseconds after which it is no longer shown.
    pub expires: Option<u64>,
}

/// The command that every audience's topic accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeCommand<'a> {
    Send(&'a Notice),
}

/// The recipients of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    Everyone,
    /// The subscribers of this group.
    Group(String),
    Person(PersonId),
}

impl Audience {
    /// The topic of its notices.
    pub fn topic(&self) -> Result<TopicName, ParseTopicNameError> {
        match self {
            Self::Everyone => format!("{PUBLIC_KIND}/{EVERYONE}"),
            Self::Group(group) => format!("{PUBLIC_KIND}/{group}"),
            Self::Person(PersonId(id)) => format!("{INBOX_KIND}/{id}"),
        }
        .parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_has_a_topic() {
        let name = |audience: Audience| audience.topic().map(|topic| topic.to_string());
        assert_eq!(name(Audience::Everyone), Ok("notices/all".to_owned()));
        assert_eq!(
            name(Audience::Group("market".to_owned())),
            Ok("notices/market".to_owned())
        );
        assert_eq!(
            name(Audience::Person(PersonId("0a".to_owned()))),
            Ok("inbox/0a".to_owned())
        );
        assert_eq!(
            name(Audience::Group("A b".to_owned())),
            Err(ParseTopicNameError::Malformed)
        );
    }
}
