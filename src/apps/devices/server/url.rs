//! Parses the broker's URL and the MQTT topic patterns that contain a device id. Pure.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::super::wire::is_device_id;

#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub user: Option<(String, String)>,
}

/// Omits the credentials.
impl std::fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    #[error("must begin with mqtt:// or mqtts://")]
    Scheme,
    #[error("has no host")]
    Host,
    #[error("has an invalid port")]
    Port,
    #[error("has a path, query or fragment after the host and port")]
    Path,
    #[error("has a user or password that is not percent-encoded UTF-8")]
    User,
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, BrokerUrlError> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            _ => return Err(BrokerUrlError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, authority) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((user, authority)) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                let decoded = decode(name).zip(decode(password));
                (Some(decoded.ok_or(BrokerUrlError::User)?), authority)
            }
        };
        if authority.contains(['/', '?', '#']) {
            return Err(BrokerUrlError::Path);
        }
        let (host, port) = split_authority(authority)?;
        let port = port.map_or(Ok(if tls { 8883 } else { 1883 }), str::parse);
        Ok(Self {
            host: (!host.is_empty())
                .then(|| host.to_owned())
                .ok_or(BrokerUrlError::Host)?,
            port: port.map_err(|_| BrokerUrlError::Port)?,
            tls,
            user,
        })
    }
}

/// `host`, `host:port`, `[::1]:port`
fn split_authority(authority: &str) -> Result<(&str, Option<&str>), BrokerUrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(BrokerUrlError::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(BrokerUrlError::Host),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

/// Percent-decodes; `None` if an escape is not two hexadecimal digits or the result is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let is_escape = |after: &str| {
        after
            .get(..2)
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// An MQTT topic with `{id}` as one of its levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    before: String,
    after: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must contain {{id}} once, as a whole level, and no + or #")]
pub struct TopicPatternError;

impl FromStr for TopicPattern {
    type Err = TopicPatternError;

    fn from_str(text: &str) -> Result<Self, TopicPatternError> {
        let (before, after) = text.split_once("{id}").ok_or(TopicPatternError)?;
        let whole = (before.is_empty() || before.ends_with('/')) && (after.is_empty() || after.starts_with('/'));
        if !whole || after.contains("{id}") || text.contains(['+', '#', '\0']) {
            return Err(TopicPatternError);
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }
}

impl TopicPattern {
    /// The topic filter to subscribe to.
    pub fn filter(&self) -> String {
        self.topic("+")
    }

    pub fn topic(&self, id: &str) -> String {
        format!("{}{id}{}", self.before, self.after)
    }

    /// The device id in `topic`, if the topic matches and the id is valid.
    pub fn id<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let id = topic.strip_prefix(&self.before)?.strip_suffix(self.after.as_str())?;
        is_device_id(id).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_fuzz::fuzz_text;

    #[test]
    fn a_broker_url_is_parsed() {
        let broker = |text: &str| text.parse::<BrokerUrl>();
        let plain = BrokerUrl {
            host: "a.example".to_owned(),
            port: 1883,
            tls: false,
            user: None,
        };
        assert_eq!(broker("mqtt://a.example"), Ok(plain.clone()));
        assert_eq!(broker("mqtt://a.example:1883/"), Ok(plain));
        let secure = broker("mqtts://me:p%40ss%3A@[::1]:9000").unwrap();
        assert_eq!((secure.host.as_str(), secure.port, secure.tls), ("::1", 9000, true));
        assert_eq!(secure.user, Some(("me".to_owned(), "p@ss:".to_owned())));
        assert_eq!(broker("mqtts://a").unwrap().port, 8883);
        for (wrong, why) in [
            ("http://a", BrokerUrlError::Scheme),
            ("a:1883", BrokerUrlError::Scheme),
            ("mqtt://", BrokerUrlError::Host),
            ("mqtt://a:b", BrokerUrlError::Port),
            ("mqtt://a/b", BrokerUrlError::Path),
            ("mqtt://%zz@a", BrokerUrlError::User),
        ] {
            assert_eq!(broker(wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn parsing_never_panics() {
        fuzz_text("broker-addresses", |text| {
            if let Ok(broker) = text.parse::<BrokerUrl>() {
                assert!(!broker.host.is_empty() && !broker.host.contains(['/', '@']));
                let debug = format!("{broker:?}");
                assert_eq!(
                    debug,
                    format!("{}:{}", broker.host, broker.port),
                    "no password in a log"
                );
            }
            if let Ok(pattern) = text.parse::<TopicPattern>() {
                assert_eq!(pattern.id(&pattern.topic("oven-1")), Some("oven-1"));
            }
            let pattern: TopicPattern = "devices/{id}/readings".parse().unwrap();
            assert!(pattern.id(text).is_none_or(is_device_id));
        });
    }

    #[test]
    fn a_pattern_formats_and_matches_topics() {
        let pattern: TopicPattern = "plant/{id}/up".parse().unwrap();
        assert_eq!(pattern.filter(), "plant/+/up");
        assert_eq!(pattern.topic("a"), "plant/a/up");
        assert_eq!(pattern.id("plant/a/up"), Some("a"));
        for other in ["plant/A/up", "plant/a/b/up", "plant//up", "plant/up", "x/a/up"] {
            assert_eq!(pattern.id(other), None, "{other}");
        }
        for wrong in ["a", "a{id}", "a/{id}b", "{id}/{id}", "+/{id}", "{id}/#"] {
            assert_eq!(wrong.parse::<TopicPattern>(), Err(TopicPatternError), "{wrong}");
        }
        assert!("{id}".parse::<TopicPattern>().is_ok());
    }
}
