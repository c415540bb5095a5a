//! The decider of the moderation topic: bans, assigned names and closed topics.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::apps::server::ClosableTopics;
use crate::server::names::sanitize::{sanitize_line, sanitize_name};
use crate::wire::moderation::{
    ALL, Ban, MAX_ADDRESS, MAX_BAN_REASON, MAX_ENTRIES, Millis, Moderation, ModerationCommand, ModerationEvent, Rules,
    Target, reason_code,
};
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal, Retention};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::{Delivery, Topic, TopicName};

/// The prefix of a ban of one IPv6 address, because a client controls its whole /64.
const IPV6_PREFIX: u8 = 64;
/// Shorter prefixes are rejected: they cover too many uninvolved people.
const MIN_IPV4_PREFIX: u8 = 8;
const MIN_IPV6_PREFIX: u8 = 20;
/// Characters of a public id.
const MAX_PERSON: usize = 64;

/// The decider of [`Moderation`], with the list of topics that may be closed.
pub struct Moderator {
    closable_topics: ClosableTopics,
}

impl Moderator {
    pub const fn new(closable_topics: ClosableTopics) -> Self {
        Self { closable_topics }
    }
}

impl Topic for Moderator {
    const KIND: &'static str = Moderation::KIND;
    const DELIVERY: Delivery = Moderation::DELIVERY;
    const PRESENCE: bool = Moderation::PRESENCE;

    type Command = ModerationCommand;
    type Event = ModerationEvent;
    type State = Rules;

    fn apply(rules: &mut Rules, seq: Seq, event: &ModerationEvent) {
        Moderation::apply(rules, seq, event);
    }
}

impl Decider for Moderator {
    type ServerCommand = NoCommand;

    const OPERATORS_ONLY: bool = true;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if topic.rest() == ALL {
            Ok(Access::Write)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn decide(
        &self,
        context: Context<'_>,
        rules: &Rules,
        command: ModerationCommand,
    ) -> Result<Vec<ModerationEvent>, Rejection> {
        match command {
            ModerationCommand::Ban { target, until, reason } => ban(context, rules, &target, until, &reason),
            ModerationCommand::Unban { target } => unban(rules, &target),
            ModerationCommand::Rename { person, name } => rename(rules, person, &name),
            ModerationCommand::Close { topic } => close(&self.closable_topics, rules, topic),
        }
    }

    fn retention(&self) -> Retention {
        Retention {
            events: 20_000,
            age: None,
        }
    }
}

fn ban(
    context: Context<'_>,
    rules: &Rules,
    target: &Target,
    until: Option<Millis>,
    reason: &str,
) -> Result<Vec<ModerationEvent>, Rejection> {
    let target = validate_target(target)?;
    if target == Target::Person(context.sender.id.clone()) {
        return Err(Rejection::custom(reason_code::OPERATOR));
    }
    let reason = sanitize_line(reason, MAX_BAN_REASON + 1);
    if reason.chars().count() > MAX_BAN_REASON || until.is_some_and(|until| until <= context.now) {
        return Err(Rejection::custom(reason_code::BAD_REASON));
    }
    let current = rules
        .bans
        .iter()
        .filter(|(_, ban)| !ban.is_expired(context.now))
        .count();
    if current >= MAX_ENTRIES && rules.ban(&target).is_none() {
        return Err(Rejection::custom(reason_code::TOO_MANY));
    }
    let ban = Ban {
        at: context.now,
        until,
        reason,
    };
    Ok(vec![ModerationEvent::Banned { target, ban }])
}

fn unban(rules: &Rules, target: &Target) -> Result<Vec<ModerationEvent>, Rejection> {
    let target = validate_target(target)?;
    match rules.ban(&target) {
        Some(_) => Ok(vec![ModerationEvent::Unbanned { target }]),
        None => Err(Rejection::custom(reason_code::NOT_BANNED)),
    }
}

fn rename(rules: &Rules, person: PersonId, name: &str) -> Result<Vec<ModerationEvent>, Rejection> {
    let person = parse_person_id(&person)?;
    let name = sanitize_name(name);
    let known = rules.names.get(&person);
    if known.map_or("", String::as_str) == name {
        return Ok(Vec::new());
    }
    if known.is_none() && rules.names.len() >= MAX_ENTRIES {
        return Err(Rejection::custom(reason_code::TOO_MANY));
    }
    Ok(vec![ModerationEvent::Renamed { person, name }])
}

fn close(closable_topics: &ClosableTopics, rules: &Rules, topic: TopicName) -> Result<Vec<ModerationEvent>, Rejection> {
    if closable_topics.closing_commands(&topic).is_none() {
        return Err(Rejection::custom(reason_code::NOT_CLOSABLE));
    }
    if rules.closed.contains(&topic) {
        return Ok(Vec::new());
    }
    if rules.closed.len() >= MAX_ENTRIES {
        return Err(Rejection::custom(reason_code::TOO_MANY));
    }
    Ok(vec![ModerationEvent::Closed { topic }])
}

fn validate_target(target: &Target) -> Result<Target, Rejection> {
    Ok(match target {
        Target::Person(id) => Target::Person(parse_person_id(id)?),
        Target::Address(text) => {
            let network = network(text).ok_or_else(|| Rejection::custom(reason_code::BAD_ADDRESS))?;
            Target::Address(canonical_cidr(network))
        }
    })
}

fn parse_person_id(PersonId(id): &PersonId) -> Result<PersonId, Rejection> {
    let id = PersonId(id.trim().to_owned());
    let is_well_formed =
        id.0.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if (1..=MAX_PERSON).contains(&id.0.len()) && is_well_formed && !duplex_hub::is_reserved(&id) {
        Ok(id)
    } else {
        Err(Rejection::custom(reason_code::BAD_PERSON))
    }
}

/// Parses an address or a network; `None` if it is malformed or too wide.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if text.len() > MAX_ADDRESS {
        return None;
    }
    let network = match text.parse::<IpAddr>() {
        Ok(address) => match address.to_canonical() {
            IpAddr::V4(address) => Ipv4Net::new(address, 32).ok()?.into(),
            IpAddr::V6(address) => Ipv6Net::new(address, IPV6_PREFIX).ok()?.into(),
        },
        Err(_) => text.parse::<IpNet>().ok()?,
    };
    let min_prefix = match network {
        IpNet::V4(_) => MIN_IPV4_PREFIX,
        IpNet::V6(_) => MIN_IPV6_PREFIX,
    };
    (network.prefix_len() >= min_prefix).then(|| network.trunc())
}

/// The stored form: an IPv4 address without a prefix, everything else with it.
fn canonical_cidr(network: IpNet) -> String {
    if network.prefix_len() == 32 && matches!(network, IpNet::V4(_)) {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}
