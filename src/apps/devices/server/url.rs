//! A broker's address, and the topics in which a device's id stands. Pure.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::super::wire::is_device;

#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub user: Option<(String, String)>,
}

/// Without the password.
impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotABroker {
    #[error("begins with mqtt:// or mqtts://")]
    Scheme,
    #[error("names no host")]
    Host,
    #[error("has a port that is no number")]
    Port,
    #[error("has something behind the host and port")]
    Path,
    #[error("has a user or password that is not written in percent-encoded UTF-8")]
    User,
}

impl FromStr for Broker {
    type Err = NotABroker;

    fn from_str(text: &str) -> Result<Self, NotABroker> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            _ => return Err(NotABroker::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((user, place)) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                let decoded = decode(name).zip(decode(password));
                (Some(decoded.ok_or(NotABroker::User)?), place)
            }
        };
        if place.contains(['/', '?', '#']) {
            return Err(NotABroker::Path);
        }
        let (host, port) = split(place)?;
        let port = port.map_or(Ok(if tls { 8883 } else { 1883 }), str::parse);
        Ok(Self {
            host: (!host.is_empty()).then(|| host.to_owned()).ok_or(NotABroker::Host)?,
            port: port.map_err(|_| NotABroker::Port)?,
            tls,
            user,
        })
    }
}

/// `host`, `host:port`, `[::1]:port`
fn split(place: &str) -> Result<(&str, Option<&str>), NotABroker> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(NotABroker::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(NotABroker::Host),
        };
    }
    match place.split_once(':') {
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((place, None)),
    }
}

/// `None` if an escape is no two hexadecimal digits, or the text is not UTF-8.
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
pub struct Pattern {
    before: String,
    after: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wants {{id}} once, as a whole level, and no + or #")]
pub struct NotAPattern;

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let (before, after) = text.split_once("{id}").ok_or(NotAPattern)?;
        let whole = (before.is_empty() || before.ends_with('/')) && (after.is_empty() || after.starts_with('/'));
        if !whole || after.contains("{id}") || text.contains(['+', '#', '\0']) {
            return Err(NotAPattern);
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }
}

impl Pattern {
    /// What to subscribe to.
    pub fn filter(&self) -> String {
        self.topic("+")
    }

    pub fn topic(&self, id: &str) -> String {
        format!("{}{id}{}", self.before, self.after)
    }

    /// The device, if it is one that can have a topic here.
    pub fn id<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let id = topic.strip_prefix(&self.before)?.strip_suffix(self.after.as_str())?;
        is_device(id).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_fuzz::fuzz_text;

    #[test]
    fn an_address_is_read_in_all_its_parts() {
        let broker = |text: &str| text.parse::<Broker>();
        let plain = Broker {
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
            ("http://a", NotABroker::Scheme),
            ("a:1883", NotABroker::Scheme),
            ("mqtt://", NotABroker::Host),
            ("mqtt://a:b", NotABroker::Port),
            ("mqtt://a/b", NotABroker::Path),
            ("mqtt://%zz@a", NotABroker::User),
        ] {
            assert_eq!(broker(wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn no_text_breaks_an_address_or_a_pattern() {
        fuzz_text("broker-addresses", |text| {
            if let Ok(broker) = text.parse::<Broker>() {
                assert!(!broker.host.is_empty() && !broker.host.contains(['/', '@']));
                let shown = format!("{broker:?}");
                assert_eq!(
                    shown,
                    format!("{}:{}", broker.host, broker.port),
                    "no password in a log"
                );
            }
            if let Ok(pattern) = text.parse::<Pattern>() {
                assert_eq!(pattern.id(&pattern.topic("oven-1")), Some("oven-1"));
            }
            let pattern: Pattern = "devices/{id}/readings".parse().unwrap();
            assert!(pattern.id(text).is_none_or(is_device));
        });
    }

    #[test]
    fn a_pattern_names_and_finds_devices() {
        let pattern: Pattern = "plant/{id}/up".parse().unwrap();
        assert_eq!(pattern.filter(), "plant/+/up");
        assert_eq!(pattern.topic("a"), "plant/a/up");
        assert_eq!(pattern.id("plant/a/up"), Some("a"));
        for other in ["plant/A/up", "plant/a/b/up", "plant//up", "plant/up", "x/a/up"] {
            assert_eq!(pattern.id(other), None, "{other}");
        }
        for wrong in ["a", "a{id}", "a/{id}b", "{id}/{id}", "+/{id}", "{id}/#"] {
            assert_eq!(wrong.parse::<Pattern>(), Err(NotAPattern), "{wrong}");
        }
        assert!("{id}".parse::<Pattern>().is_ok());
    }
}
