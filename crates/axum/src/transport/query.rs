//! The query parameters of the fallbacks: the session, its topics and their cursors.

use axum::http::StatusCode;
use serde::Deserialize;

use crate::error::Problem;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{MAX_SUBSCRIPTIONS, SessionId};
use duplex_protocol::subprotocol::{Subprotocol, Version};
use duplex_protocol::topic::TopicName;

/// `?session=ID&v=2&topics=chat/lobby@EPOCH:SEQ:CHECK,chat/other`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct SessionQuery {
    session: SessionId,
    #[serde(default)]
    topics: String,
    /// For a poll: 0 requests an immediate response, with a welcome and every verdict.
    wait: Option<u32>,
    /// The protocol's version. Without it, 2 if a cursor has a checksum, which version 1 does not know, and 1 otherwise.
    v: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("A session id must have 1 to 64 letters, digits and hyphens.")]
    Session,
    #[error("{0:?} is not a topic with or without a cursor, such as chat/lobby@17:4.")]
    Topic(String),
    #[error("A session has at most {MAX_SUBSCRIPTIONS} topics.")]
    TooMany,
    #[error("Versions 1 and 2 of the session protocol are supported, not {0}.")]
    Version(u32),
}

impl QueryError {
    pub(super) fn problem(&self) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, self.to_string())
    }
}

impl SessionQuery {
    pub(super) fn session(&self) -> Result<SessionId, QueryError> {
        if self.session.is_well_formed() {
            Ok(self.session.clone())
        } else {
            Err(QueryError::Session)
        }
    }

    pub(super) fn is_immediate(&self) -> bool {
        self.wait == Some(0)
    }

    pub(super) fn protocol(&self, topics: &[(TopicName, Option<Cursor>)]) -> Result<Subprotocol, QueryError> {
        let has_checksum = |(_, cursor): &(_, Option<Cursor>)| cursor.is_some_and(|cursor| cursor.checksum.is_some());
        let version = match self.v {
            Some(2) => Version::V2,
            None if topics.iter().any(has_checksum) => Version::V2,
            None | Some(1) => Version::V1,
            Some(other) => return Err(QueryError::Version(other)),
        };
        Ok(Subprotocol::new(version, Encoding::Json))
    }

    pub(super) fn topics(&self) -> Result<Vec<(TopicName, Option<Cursor>)>, QueryError> {
        let topics: Vec<_> = self.topics.split(',').filter(|topic| !topic.is_empty()).collect();
        if topics.len() > MAX_SUBSCRIPTIONS {
            return Err(QueryError::TooMany);
        }
        topics
            .into_iter()
            .map(|topic| parse_topic(topic).ok_or_else(|| QueryError::Topic(topic.to_owned())))
            .collect()
    }
}

fn parse_topic(text: &str) -> Option<(TopicName, Option<Cursor>)> {
    match text.split_once('@') {
        None => Some((text.parse().ok()?, None)),
        Some((name, cursor)) => Some((name.parse().ok()?, Some(cursor.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(topics: &str) -> SessionQuery {
        SessionQuery {
            session: SessionId("s-1".to_owned()),
            topics: topics.to_owned(),
            wait: None,
            v: None,
        }
    }

    #[test]
    fn topics_are_parsed_with_and_without_a_cursor() {
        let topics = query("chat/lobby@17:4,chat/other").topics().unwrap();
        assert_eq!(topics[0].1, Some("17:4".parse().unwrap()));
        assert_eq!((topics[1].0.as_str(), topics[1].1), ("chat/other", None));
        assert_eq!(query("").topics(), Ok(Vec::new()));
        for wrong in ["chat", "chat/a@", "chat/a@1", "Chat/a"] {
            assert_eq!(query(wrong).topics(), Err(QueryError::Topic(wrong.to_owned())));
        }
        assert_eq!(query(&"chat/a,".repeat(65)).topics(), Err(QueryError::TooMany));
    }

    #[test]
    fn the_version_is_explicit_or_inferred_from_a_checksum() {
        let version = |v, topics: &str| {
            let query = SessionQuery { v, ..query(topics) };
            let protocol = query.protocol(&query.topics().unwrap());
            protocol.map(|protocol| protocol.version)
        };
        for (v, topics, expected) in [
            (None, "chat/a,chat/b@1:2", Ok(Version::V1)),
            (None, "chat/a,chat/b@1:2:3", Ok(Version::V2)),
            (Some(1), "chat/b@1:2:3", Ok(Version::V1)),
            (Some(2), "", Ok(Version::V2)),
            (Some(3), "", Err(QueryError::Version(3))),
        ] {
            assert_eq!(version(v, topics), expected, "{v:?} {topics}");
        }
    }

    #[test]
    fn a_session_id_must_be_well_formed() {
        assert!(query("").session().is_ok());
        for wrong in ["", "a b", &"a".repeat(65)] {
            let session = SessionId((*wrong).to_owned());
            assert_eq!(
                SessionQuery { session, ..query("") }.session(),
                Err(QueryError::Session)
            );
        }
    }
}
