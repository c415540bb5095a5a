//! Roles and the rights of a request. Roles are assigned by the server's authentication.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sender::SenderKind;

/// A role of a token or of an operator's login. As text: `operator`, `notify`, `read`, `device` or `device:PATTERN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Role {
    /// Everything.
    Operator,
    /// Send notifications.
    Notify,
    /// Send reports and commands for devices with matching ids.
    Device(IdPattern),
    /// Read metrics, the list of topics and their events, but nothing private; write nothing.
    Read,
}

/// A pattern of ids in which each `*` matches any number of characters: 1 to 64 of `a-z 0-9 - _ .` and `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPattern(Box<str>);

/// A text that is not a [`Role`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a role is operator, notify, read, device, or device:PATTERN with a pattern such as oven-* of a-z 0-9 - _ . and *"
)]
pub struct ParseRoleError;

/// The role that an action needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredRole<'a> {
    /// [`Role::Operator`].
    Operator,
    /// [`Role::Notify`].
    Notify,
    /// [`Role::Device`] with a pattern that matches this id.
    Device(&'a str),
    /// [`Role::Read`].
    Read,
}

/// The maximum length of an id pattern.
const MAX_PATTERN: usize = 64;

impl IdPattern {
    fn new(text: &str) -> Option<Self> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*');
        ((1..=MAX_PATTERN).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// Whether the id matches. Linear in practice: after a `*` the earliest match of the next part is never worse than a later one.
    pub fn matches(&self, id: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = id.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl Role {
    /// Whether the role satisfies `required`. [`Self::Operator`] satisfies every requirement.
    #[must_use]
    pub fn allows(&self, required: RequiredRole<'_>) -> bool {
        match (self, required) {
            (Self::Operator, _) | (Self::Notify, RequiredRole::Notify) | (Self::Read, RequiredRole::Read) => true,
            (Self::Device(pattern), RequiredRole::Device(id)) => pattern.matches(id),
            _ => false,
        }
    }
}

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, ParseRoleError> {
        match text {
            "operator" => Ok(Self::Operator),
            "notify" => Ok(Self::Notify),
            "read" => Ok(Self::Read),
            "device" => Ok(Self::Device(IdPattern("*".into()))),
            _ => {
                let pattern = text.strip_prefix("device:").ok_or(ParseRoleError)?;
                IdPattern::new(pattern).map(Self::Device).ok_or(ParseRoleError)
            }
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Notify => f.write_str("notify"),
            Self::Device(pattern) if &*pattern.0 == "*" => f.write_str("device"),
            Self::Device(pattern) => write!(f, "device:{}", pattern.0),
            Self::Read => f.write_str("read"),
        }
    }
}

impl TryFrom<String> for Role {
    type Error = ParseRoleError;

    fn try_from(text: String) -> Result<Self, ParseRoleError> {
        text.parse()
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.to_string()
    }
}

impl RequiredRole<'_> {
    /// The role's name, without the device's id.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Notify => "notify",
            Self::Device(_) => "device",
            Self::Read => "read",
        }
    }
}

impl Display for RequiredRole<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => write!(f, "device:{id}"),
            other => f.write_str(other.name()),
        }
    }
}

/// The rights of a request. Cheap to clone; the default is an ordinary visitor.
#[derive(Debug, Clone, Default)]
pub struct Rights(Option<Arc<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    roles: Vec<Role>,
    sender_kind: SenderKind,
    demo: bool,
}

impl Rights {
    /// A visitor. With `demo`, visitors may use shared controls, which the operator's `--demo` allows.
    pub fn visitor(demo: bool) -> Self {
        Self(demo.then(|| {
            Arc::new(Inner {
                demo,
                ..Inner::default()
            })
        }))
    }

    /// A visitor logged in as operator.
    pub fn operator() -> Self {
        Self(Some(Arc::new(Inner {
            roles: vec![Role::Operator],
            ..Inner::default()
        })))
    }

    /// The server itself, which has all rights.
    pub(crate) fn server() -> Self {
        Self(Some(Arc::new(Inner {
            roles: vec![Role::Operator],
            sender_kind: SenderKind::Server,
            ..Inner::default()
        })))
    }

    /// A program with a token of these roles.
    pub fn program(roles: Vec<Role>, demo: bool) -> Self {
        Self(Some(Arc::new(Inner {
            roles,
            sender_kind: SenderKind::Program,
            demo,
        })))
    }

    /// Whether one of the roles permits an action.
    #[must_use]
    pub fn allows(&self, required: RequiredRole<'_>) -> bool {
        self.roles().iter().any(|role| role.allows(required))
    }

    /// The roles; empty for an ordinary visitor.
    pub fn roles(&self) -> &[Role] {
        self.0.as_ref().map_or(&[], |inner| &inner.roles)
    }

    /// How the request was authenticated.
    pub fn sender_kind(&self) -> SenderKind {
        self.0.as_ref().map_or(SenderKind::Visitor, |inner| inner.sender_kind)
    }

    /// Whether the request comes from a program.
    pub fn is_program(&self) -> bool {
        self.sender_kind() == SenderKind::Program
    }

    /// The rights that a decider sees.
    pub fn authority(&self) -> Authority {
        Authority {
            operator: self.allows(RequiredRole::Operator),
            demo: self.0.as_ref().is_some_and(|inner| inner.demo),
        }
    }
}

/// The rights of a command's sender that a decider sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Authority {
    /// An operator, or the server itself.
    pub operator: bool,
    /// Every visitor may use shared controls.
    pub demo: bool,
}

impl Authority {
    /// An ordinary visitor.
    pub const VISITOR: Self = Self {
        operator: false,
        demo: false,
    };
    /// An operator, or the server.
    pub const OPERATOR: Self = Self {
        operator: true,
        demo: false,
    };

    /// Whether the sender may use shared controls.
    pub const fn may_control(self) -> bool {
        self.operator || self.demo
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn role(text: &str) -> Role {
        text.parse().unwrap()
    }

    #[test]
    fn a_role_is_formatted_as_it_is_parsed() {
        for text in ["operator", "notify", "read", "device", "device:oven-*", "device:a.b_c"] {
            assert_eq!(role(text).to_string(), text);
        }
        assert_eq!(role("device:*"), role("device"));
        for wrong in [
            "",
            "Operator",
            "device:",
            "device:Oven",
            "device:a/b",
            "device:가",
            "admin",
        ] {
            assert_eq!(wrong.parse::<Role>(), Err(ParseRoleError), "{wrong}");
        }
        assert_eq!(
            format!("device:{}", "a".repeat(65)).parse::<Role>(),
            Err(ParseRoleError)
        );
    }

    #[test]
    fn a_role_allows_only_its_own_actions() {
        let roles = [
            RequiredRole::Operator,
            RequiredRole::Notify,
            RequiredRole::Device("oven-1"),
            RequiredRole::Device("door"),
            RequiredRole::Read,
        ];
        let allowed = |text: &str| roles.map(|required| role(text).allows(required));
        assert_eq!(allowed("operator"), [true; 5]);
        assert_eq!(allowed("notify"), [false, true, false, false, false]);
        assert_eq!(allowed("device"), [false, false, true, true, false]);
        assert_eq!(allowed("device:oven-*"), [false, false, true, false, false]);
        assert_eq!(allowed("read"), [false, false, false, false, true]);
        assert!(!Rights::visitor(true).allows(RequiredRole::Read));
        assert!(!Rights::default().authority().may_control() && Rights::visitor(true).authority().may_control());
    }

    #[test]
    fn a_pattern_matches_whole_ids() {
        let matches = |pattern: &str, id: &str| IdPattern::new(pattern).unwrap().matches(id);
        for (pattern, id) in [
            ("*", ""),
            ("a*", "a"),
            ("*a", "ba"),
            ("a*b*c", "a1b2bc"),
            ("a**b", "ab"),
            ("a", "a"),
        ] {
            assert!(matches(pattern, id), "{pattern} {id}");
        }
        for (pattern, id) in [
            ("a", "ab"),
            ("a*", "ba"),
            ("*a", "ab"),
            ("ab*ba", "aba"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, id), "{pattern} {id}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_like_the_naive_algorithm(pattern in "[ab*]{1,8}", id in "[ab]{0,10}") {
            fn naive(pattern: &[u8], id: &[u8]) -> bool {
                match pattern.split_first() {
                    None => id.is_empty(),
                    Some((b'*', rest)) => (0..=id.len()).any(|at| naive(rest, &id[at..])),
                    Some((one, rest)) => id.first() == Some(one) && naive(rest, &id[1..]),
                }
            }
            let expected = naive(pattern.as_bytes(), id.as_bytes());
            prop_assert_eq!(IdPattern::new(&pattern).unwrap().matches(&id), expected);
        }
    }
}
