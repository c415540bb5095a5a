//! An index of active bans, looked up for each request. Pure: time is an argument.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::decider::network;
use crate::wire::moderation::{Ban, Millis, Rules, Target};
use duplex_protocol::person::PersonId;

#[derive(Debug, Default)]
pub struct Bans {
    people: HashMap<PersonId, Ban>,
    networks: Vec<(IpNet, Ban)>,
}

/// The person and address of a request, whose ban is looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub person: Option<PersonId>,
    pub address: Option<IpAddr>,
    /// Operators cannot be banned.
    pub is_operator: bool,
}

impl Bans {
    pub fn from_rules(rules: &Rules) -> Self {
        let mut bans = Self::default();
        for (target, ban) in &rules.bans {
            match target {
                Target::Person(id) => drop(bans.people.insert(id.clone(), ban.clone())),
                Target::Address(text) => bans
                    .networks
                    .extend(network(text).map(|network| (network, ban.clone()))),
            }
        }
        bans
    }

    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.networks.is_empty()
    }

    pub fn find(&self, subject: &Subject, now: Millis) -> Option<&Ban> {
        if subject.is_operator {
            return None;
        }
        let person = subject.person.as_ref().and_then(|person| self.people.get(person));
        let address = || {
            let address = subject.address?.to_canonical();
            let applies = |(network, ban): &&(IpNet, Ban)| network.contains(&address) && !ban.is_expired(now);
            self.networks.iter().find(applies).map(|(_, ban)| ban)
        };
        person.filter(|ban| !ban.is_expired(now)).or_else(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bans(targets: &[Target], until: Option<Millis>) -> Bans {
        let ban = Ban {
            until,
            ..Ban::default()
        };
        let rules = Rules {
            bans: targets.iter().map(|target| (target.clone(), ban.clone())).collect(),
            ..Rules::default()
        };
        Bans::from_rules(&rules)
    }

    fn from(address: &str) -> Subject {
        Subject {
            address: Some(address.parse().unwrap()),
            ..Subject::default()
        }
    }

    #[test]
    fn an_address_ban_covers_its_network() {
        for (banned, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.128/25", "192.0.2.200", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
            ("2001:db8::/48", "2001:db8:0:9::1", "2001:db9::1"),
        ] {
            let bans = bans(&[Target::Address(banned.to_owned())], None);
            assert!(bans.find(&from(inside), 0).is_some(), "{banned} {inside}");
            assert!(bans.find(&from(outside), 0).is_none(), "{banned} {outside}");
        }
    }

    #[test]
    fn a_ban_expires_and_exempts_operators() {
        let who = PersonId("0a".to_owned());
        let bans = bans(&[Target::Person(who.clone())], Some(10));
        let mut subject = Subject {
            person: Some(who),
            ..from("192.0.2.1")
        };
        assert!(bans.find(&subject, 9).is_some() && bans.find(&subject, 10).is_none());
        subject.is_operator = true;
        assert!(bans.find(&subject, 9).is_none());
        assert!(bans.find(&from("192.0.2.1"), 9).is_none());
    }
}
