//! Notices: what an application tells people who may not be looking at it. Knows no application; the one that shows them takes
//! the command `{"send": Notice}` in the topics named here.

use serde::{Deserialize, Serialize};

use duplex_protocol::person::PersonId;
use duplex_protocol::topic::{ParseTopicNameError, TopicName};

/// The kind of the topics whose notices everybody may read, and of those that are one person's.
pub const PUBLIC_KIND: &str = "notices";
pub const INBOX_KIND: &str = "inbox";

/// The public topic that is everybody's; the others are groups.
pub const EVERYONE: &str = "all";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Success,
    Warning,
    Danger,
}

/// The same in each language of the pages.
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

    /// What is said in one language only.
    pub fn untranslated(text: &str) -> Self {
        Self::new(text, text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub title: LocalizedText,
    /// May be empty.
    pub body: LocalizedText,
    /// Where it leads: a path of this site, or an `http` or `https` address.
    pub link: Option<String>,
    pub level: Level,
    /// Unix milliseconds after which it is of no use.
    pub expires: Option<u64>,
}

/// What the topics of every audience take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeCommand<'a> {
    Send(&'a Notice),
}

/// For whom a notice is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    Everyone,
    /// Those who follow it.
    Group(String),
    Person(PersonId),
}

impl Audience {
    /// Where its notices go.
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
