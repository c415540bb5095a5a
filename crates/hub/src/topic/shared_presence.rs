//! The presence of a topic on several nodes: each node tells the others its own people. Pure: the clock is an argument.
//!
//! A node sends changes, and regularly a complete list, a *round*: a lost message is repaired by the next round, and the people of a
//! node that sends none are gone after a while. Sessions are compared by a hash, because a client that changes its node is present
//! on both for a moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::bus::NodeId;
use crate::decider::Millis;
use crate::limits;
use duplex_protocol::person::PersonId;
use duplex_protocol::presence::{MAX_LISTED_PEOPLE, Presence, PresentPerson};

/// A person with the hashes of their sessions, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListedPerson {
    pub present: PresentPerson,
    pub sessions: Vec<u32>,
}

/// The people of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodePeople {
    /// In the order of their arrival.
    pub people: Vec<ListedPerson>,
    /// The numbers of people and sessions that are not listed.
    pub unlisted: (u32, u32),
}

/// A part of a round, or a change after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PresenceUpdate {
    pub round: u64,
    /// New and changed people.
    pub people: Vec<ListedPerson>,
    pub gone: Vec<PersonId>,
    pub unlisted: (u32, u32),
}

#[derive(Debug, Default)]
pub(crate) struct SharedPresence {
    nodes: BTreeMap<NodeId, RemotePeople>,
    /// Counts the changes of other nodes.
    version: u64,
    sent: NodePeople,
    /// The version of the node's own presence that was sent.
    sent_version: u64,
    round: u64,
    /// The time of the next round.
    next_round: Option<Instant>,
    /// The earliest time of the next change.
    next_change: Option<Instant>,
}

#[derive(Debug)]
struct RemotePeople {
    round: u64,
    people: BTreeMap<PersonId, ListedPerson>,
    unlisted: (u32, u32),
    /// When they are gone, unless the node is heard again.
    until: Instant,
}

impl SharedPresence {
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Handles an update of another node. One of an earlier round is late, and ignored.
    pub(crate) fn receive(&mut self, node: NodeId, update: PresenceUpdate, now: Instant) {
        let remote = self.nodes.entry(node).or_insert_with(|| RemotePeople {
            round: update.round,
            people: BTreeMap::new(),
            unlisted: (0, 0),
            until: now,
        });
        if update.round < remote.round {
            return;
        }
        if update.round > remote.round {
            remote.people.clear();
        }
        (remote.round, remote.unlisted) = (update.round, update.unlisted);
        remote.until = now + limits::REMOTE_PRESENCE;
        for id in &update.gone {
            remote.people.remove(id);
        }
        let room = MAX_LISTED_PEOPLE.saturating_sub(remote.people.len());
        let people = update.people.into_iter().take(room);
        remote
            .people
            .extend(people.map(|person| (person.present.person.id.clone(), person)));
        self.version += 1;
    }

    /// Removes the people of nodes that were not heard for a while.
    pub(crate) fn expire(&mut self, now: Instant) {
        let before = self.nodes.len();
        self.nodes.retain(|_, remote| remote.until > now);
        self.version += u64::from(self.nodes.len() < before);
    }

    /// The next time to call [`Self::expire`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.nodes.values().map(|remote| remote.until).min()
    }

    /// The presence of all nodes together.
    pub(crate) fn merge(&self, own: NodePeople) -> Presence {
        let mut sessions: BTreeSet<u32> = own
            .people
            .iter()
            .flat_map(|person| person.sessions.iter().copied())
            .collect();
        let mut index: BTreeMap<PersonId, usize> = BTreeMap::new();
        let mut people: Vec<PresentPerson> = Vec::with_capacity(own.people.len());
        let (mut more_people, mut more_sessions) = own.unlisted;
        for remote in self.nodes.values() {
            more_people = more_people.saturating_add(remote.unlisted.0);
            more_sessions = more_sessions.saturating_add(remote.unlisted.1);
        }
        let remote = self.nodes.values().flat_map(|remote| remote.people.values().cloned());
        for ListedPerson {
            present,
            sessions: of_person,
        } in own.people.into_iter().chain(remote)
        {
            sessions.extend(of_person);
            let next = people.len();
            match people.get_mut(*index.entry(present.person.id.clone()).or_insert(next)) {
                Some(known) => known.activity = known.activity.take().or(present.activity),
                None => people.push(present),
            }
        }
        let count = |listed: usize, more: u32| u32::try_from(listed).unwrap_or(u32::MAX).saturating_add(more);
        let people_count = count(people.len(), more_people);
        people.truncate(MAX_LISTED_PEOPLE);
        Presence {
            people,
            people_count,
            session_count: count(sessions.len(), more_sessions),
        }
    }

    /// Sends a round as soon as possible.
    pub(crate) fn request_round(&mut self, now: Instant) {
        self.next_round = Some(now);
    }

    /// What to tell the other nodes now. `version` is that of the node's own presence, whose people `own` returns.
    pub(crate) fn updates(
        &mut self,
        version: u64,
        own: impl FnOnce() -> NodePeople,
        (now, clock): (Instant, Millis),
    ) -> Vec<PresenceUpdate> {
        let is_round_due = self.next_round.is_some_and(|next| next <= now);
        let may_change = version != self.sent_version && self.next_change.is_none_or(|next| next <= now);
        if !is_round_due && !may_change {
            return Vec::new();
        }
        let own = own();
        let is_empty = own == NodePeople::default();
        let updates = if is_round_due || (self.next_round.is_none() && !is_empty) {
            self.round = clock.max(self.round + 1);
            self.next_round = (!is_empty).then(|| now + limits::PRESENCE_ROUND);
            self.round_of(&own)
        } else {
            self.change_to(&own)
        };
        self.next_change = Some(now + limits::PRESENCE_PAUSE);
        (self.sent, self.sent_version) = (own, version);
        updates
    }

    /// The next time to call [`Self::updates`], unless the node's own presence changes before. `version` is that of it.
    pub(crate) fn next_update(&self, version: u64) -> Option<Instant> {
        let change = self.next_change.filter(|_| version != self.sent_version);
        self.next_round.into_iter().chain(change).min()
    }

    fn round_of(&self, own: &NodePeople) -> Vec<PresenceUpdate> {
        let empty: &[ListedPerson] = &[];
        let parts = own.people.chunks(limits::PRESENCE_PART);
        let parts: Vec<_> = if own.people.is_empty() {
            vec![empty]
        } else {
            parts.collect()
        };
        let part = |people: &[ListedPerson]| self.update(people.to_vec(), Vec::new(), own.unlisted);
        parts.into_iter().map(part).collect()
    }

    fn change_to(&self, own: &NodePeople) -> Vec<PresenceUpdate> {
        let id = |listed: &ListedPerson| listed.present.person.id.clone();
        let before: BTreeMap<_, _> = self.sent.people.iter().map(|listed| (id(listed), listed)).collect();
        let now: BTreeSet<_> = own.people.iter().map(id).collect();
        let gone: Vec<_> = before.keys().filter(|id| !now.contains(*id)).cloned().collect();
        let changed = own
            .people
            .iter()
            .filter(|listed| before.get(&id(listed)) != Some(listed));
        let changed: Vec<_> = changed.cloned().collect();
        let gone = gone
            .chunks(limits::PRESENCE_PART)
            .map(|gone| (Vec::new(), gone.to_vec()));
        let changed = changed
            .chunks(limits::PRESENCE_PART)
            .map(|people| (people.to_vec(), Vec::new()));
        let mut parts: Vec<_> = gone.chain(changed).collect();
        if parts.is_empty() && own.unlisted != self.sent.unlisted {
            parts.push((Vec::new(), Vec::new()));
        }
        parts
            .into_iter()
            .map(|(people, gone)| self.update(people, gone, own.unlisted))
            .collect()
    }

    const fn update(&self, people: Vec<ListedPerson>, gone: Vec<PersonId>, unlisted: (u32, u32)) -> PresenceUpdate {
        PresenceUpdate {
            round: self.round,
            people,
            gone,
            unlisted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::person::Person;
    use proptest::prelude::*;

    fn listed(person: u32, sessions: &[u32]) -> ListedPerson {
        let person = Person {
            id: PersonId(format!("{person:032x}")),
            name: "가나다라마바사아자차카타파하가나다라마바사아자차카타파하".to_owned(),
        };
        ListedPerson {
            present: PresentPerson { person, activity: None },
            sessions: sessions.to_vec(),
        }
    }

    fn people(numbers: &BTreeSet<u32>) -> NodePeople {
        NodePeople {
            people: numbers.iter().map(|number| listed(*number, &[*number])).collect(),
            unlisted: (0, 0),
        }
    }

    fn counts(presence: &Presence) -> (u32, u32) {
        (presence.people_count, presence.session_count)
    }

    #[test]
    fn people_and_sessions_on_two_nodes_count_once() {
        let (now, mut shared) = (Instant::now(), SharedPresence::default());
        let update = PresenceUpdate {
            round: 1,
            people: vec![listed(1, &[10, 11]), listed(2, &[20])],
            gone: vec![],
            unlisted: (3, 4),
        };
        shared.receive(NodeId::random(), update, now);
        let own = NodePeople {
            people: vec![listed(1, &[10, 12])],
            unlisted: (0, 1),
        };
        let merged = shared.merge(own);
        assert_eq!(counts(&merged), (2 + 3, 4 + 5));
        assert_eq!(merged.people[0].person.id, listed(1, &[]).present.person.id);
    }

    #[test]
    fn the_people_of_a_silent_node_are_gone_in_time() {
        let (now, mut shared) = (Instant::now(), SharedPresence::default());
        let mut sender = SharedPresence::default();
        let all = people(&[1, 2].into());
        for update in sender.updates(1, || all, (now, 5)) {
            shared.receive(NodeId::random(), update, now);
        }
        let until = shared.deadline().unwrap();
        assert!(until <= now + std::time::Duration::from_secs(40));
        assert!(sender.next_update(1).unwrap() < until, "a live node is heard before");
        shared.expire(until);
        assert_eq!(counts(&shared.merge(NodePeople::default())), (0, 0));
    }

    #[test]
    fn a_full_list_fits_the_bus() {
        let all = people(&(0..MAX_LISTED_PEOPLE as u32).collect());
        let updates = SharedPresence::default().updates(1, || all, (Instant::now(), 5));
        for update in updates {
            let size = serde_json::to_string(&update).unwrap().len();
            assert!(size < limits::MAX_BUS_PAYLOAD - 200, "{size}");
        }
    }

    proptest! {
        /// Whatever was lost, the next round makes the other node's view complete.
        #[test]
        fn a_round_repairs_what_was_lost(steps in prop::collection::vec((0u32..40, any::<bool>(), any::<bool>()), 1..60)) {
            let (mut now, node) = (Instant::now(), NodeId::random());
            let (mut sender, mut receiver, mut present) = (SharedPresence::default(), SharedPresence::default(), BTreeSet::new());
            for (version, (person, joins, lost)) in (1..).zip(steps) {
                if joins { present.insert(person); } else { present.remove(&person); }
                now += limits::PRESENCE_PAUSE;
                for update in sender.updates(version, || people(&present), (now, version)) {
                    if !lost { receiver.receive(node, update, now); }
                }
                prop_assert_eq!(sender.sent_version, version);
            }
            sender.request_round(now);
            for update in sender.updates(99, || people(&present), (now, 99)) {
                receiver.receive(node, update, now);
            }
            let merged = receiver.merge(NodePeople::default());
            let seen: BTreeSet<_> = merged.people.iter().map(|present| present.person.id.clone()).collect();
            let expected: BTreeSet<_> = people(&present).people.into_iter().map(|listed| listed.present.person.id).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
