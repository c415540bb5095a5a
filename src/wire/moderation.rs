//! The moderation topic: bans, assigned names and closed topics. Operators read and write it; the server enforces it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::topic::{Topic, TopicName};

/// The rest of the name of the kind's only topic.
pub const ALL: &str = "all";

/// Maximum number of bans, of assigned names and of closed topics, because the state is sent as one message.
pub const MAX_ENTRIES: usize = 2_000;
/// Maximum length of a ban's reason in characters.
pub const MAX_BAN_REASON: usize = 200;
/// Maximum length of an address in bytes, including its prefix length.
pub const MAX_ADDRESS: usize = 43;

/// Milliseconds since 1970.
pub type Millis = u64;

/// Codes of the reasons for a rejection, which a page translates.
pub mod reason_code {
    pub const BAD_PERSON: &str = "bad_person";
    pub const BAD_ADDRESS: &str = "bad_address";
    pub const BAD_REASON: &str = "bad_reason";
    pub const TOO_MANY: &str = "moderation_full";
    pub const NOT_BANNED: &str = "not_banned";
    /// This topic cannot be closed.
    pub const NOT_CLOSABLE: &str = "topic_stays";
    pub const OPERATOR: &str = "is_operator";
}

#[derive(Debug, Clone, Copy)]
pub struct Moderation;

/// The target of a ban.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Person(PersonId),
    /// An IP address or a network in CIDR notation. A single IPv6 address means its /64.
    Address(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModerationCommand {
    /// Replaces an existing ban of the same target. Without `until` it lasts until it is lifted.
    Ban {
        target: Target,
        #[serde(default)]
        until: Option<Millis>,
        #[serde(default)]
        reason: String,
    },
    Unban {
        target: Target,
    },
    /// Assigns a name; an empty one lets the person choose again.
    Rename {
        person: PersonId,
        name: String,
    },
    /// Closes a topic permanently: the content of its events is erased, and it cannot be subscribed to again.
    Close {
        topic: TopicName,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModerationEvent {
    Banned { target: Target, ban: Ban },
    Unbanned { target: Target },
    Renamed { person: PersonId, name: String },
    Closed { topic: TopicName },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    pub at: Millis,
    /// `None`: permanent.
    pub until: Option<Millis>,
    /// May be empty.
    pub reason: String,
}

impl Ban {
    pub fn is_expired(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// The moderation rules; each collection has at most [`MAX_ENTRIES`] entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Sorted by target; may contain expired bans.
    pub bans: Vec<(Target, Ban)>,
    pub names: BTreeMap<PersonId, String>,
    pub closed: BTreeSet<TopicName>,
}

impl Rules {
    pub fn ban(&self, target: &Target) -> Option<&Ban> {
        let at = self.bans.binary_search_by(|(known, _)| known.cmp(target)).ok()?;
        self.bans.get(at).map(|(_, ban)| ban)
    }

    fn insert_ban(&mut self, target: &Target, ban: &Ban) {
        match self.bans.binary_search_by(|(known, _)| known.cmp(target)) {
            Ok(at) => {
                if let Some((_, known)) = self.bans.get_mut(at) {
                    known.clone_from(ban);
                }
            }
            Err(_) => {
                if self.bans.len() >= MAX_ENTRIES {
                    self.bans.retain(|(_, known)| !known.is_expired(ban.at));
                }
                if self.bans.len() < MAX_ENTRIES {
                    let at = self.bans.partition_point(|(known, _)| known < target);
                    self.bans.insert(at, (target.clone(), ban.clone()));
                }
            }
        }
    }
}

impl Topic for Moderation {
    const KIND: &'static str = "moderation";
    const PRESENCE: bool = false;

    type Command = ModerationCommand;
    type Event = ModerationEvent;
    type State = Rules;

    fn apply(rules: &mut Rules, _seq: Seq, event: &ModerationEvent) {
        match event {
            ModerationEvent::Banned { target, ban } => rules.insert_ban(target, ban),
            ModerationEvent::Unbanned { target } => rules.bans.retain(|(known, _)| known != target),
            ModerationEvent::Renamed { person, name } if name.is_empty() => {
                rules.names.remove(person);
            }
            ModerationEvent::Renamed { person, name } => {
                if rules.names.len() < MAX_ENTRIES || rules.names.contains_key(person) {
                    rules.names.insert(person.clone(), name.clone());
                }
            }
            ModerationEvent::Closed { topic } => {
                if rules.closed.len() < MAX_ENTRIES {
                    rules.closed.insert(topic.clone());
                }
            }
        }
    }
}
