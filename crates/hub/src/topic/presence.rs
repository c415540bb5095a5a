//! The presence of a topic: its sessions and their people. Pure: the clock is an argument.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::shared_presence::{ListedPerson, NodePeople};
use crate::limits;
use crate::quota::Address;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::presence::{MAX_ACTIVITY, MAX_LISTED_PEOPLE, Presence, PresentPerson};

/// The id of a session, shared by everything that keeps it: a node has many sessions, and most are in some topics.
pub(crate) type SessionKey = Arc<str>;

/// A session is present while its joins exceed its leaves, or while it has a lease.
#[derive(Debug, Default)]
pub(crate) struct PresenceSet {
    sessions: HashMap<SessionKey, SessionPresence>,
    /// By person id.
    people: HashMap<Arc<str>, PersonPresence>,
    /// People in the order of arrival.
    order: BTreeMap<u64, Arc<str>>,
    arrivals: u64,
    leases: usize,
    /// The numbers of sessions and people of each address.
    by_address: HashMap<Address, AddressCount>,
    /// Counts visible changes.
    version: u64,
    /// The earliest expiry of a lease or an activity, or earlier.
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct AddressCount {
    sessions: usize,
    people: usize,
}

#[derive(Debug)]
struct SessionPresence {
    person: Arc<str>,
    address: Option<Address>,
    joins: u32,
    lease: Option<Instant>,
    /// The text, and when it ends. Boxed, because few sessions have one.
    activity: Option<Box<(String, Instant)>>,
}

#[derive(Debug)]
struct PersonPresence {
    name: String,
    arrival: u64,
    address: Option<Address>,
    /// Without duplicates: a person has few.
    sessions: Vec<SessionKey>,
}

impl PresenceSet {
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Adds the session. Beyond the per-address limit it is not counted as present; it can still read.
    pub(crate) fn join(&mut self, session: &SessionKey, person: Person, address: Option<Address>) {
        if self.is_within_limit(session, &person, address) {
            self.upsert_session(session, person, address).joins += 1;
        }
    }

    fn is_within_limit(&self, session: &str, person: &Person, address: Option<Address>) -> bool {
        let Some(counts) = address.and_then(|address| self.by_address.get(&address)) else {
            return true;
        };
        let session_fits = counts.sessions < limits::PRESENT_SESSIONS || self.sessions.contains_key(session);
        session_fits && (counts.people < limits::PRESENT_PEOPLE || self.people.contains_key(&*person.id.0))
    }

    pub(crate) fn leave(&mut self, session: &str) {
        let Some(entry) = self.sessions.get_mut(session) else {
            return;
        };
        entry.joins = entry.joins.saturating_sub(1);
        if entry.joins == 0 && entry.lease.is_none() {
            self.remove(session);
        }
    }

    /// Makes the session present until `until`, at most [`limits::MAX_LEASE`] from now. Beyond [`limits::MAX_LEASES`] a new
    /// session is not counted.
    pub(crate) fn lease(
        &mut self,
        session: &SessionKey,
        person: Person,
        address: Option<Address>,
        until: Instant,
        now: Instant,
    ) {
        let until = until.min(now + limits::MAX_LEASE);
        let full = self.leases >= limits::MAX_LEASES && !self.sessions.contains_key(session);
        if until <= now || full || !self.is_within_limit(session, &person, address) {
            return;
        }
        let entry = self.upsert_session(session, person, address);
        let first = entry.lease.is_none();
        entry.lease = entry.lease.max(Some(until));
        self.leases += usize::from(first);
        self.schedule(until);
    }

    pub(crate) fn rename(&mut self, session: &str, name: String) {
        let Some(entry) = self.sessions.get(session) else {
            return;
        };
        if let Some(present) = self.people.get_mut(&entry.person)
            && present.name != name
        {
            present.name = name;
            self.version += 1;
        }
    }

    /// Sets an activity. An empty one, or one with more than [`MAX_ACTIVITY`] bytes, clears it.
    pub(crate) fn set_activity(&mut self, session: &str, activity: Option<String>, now: Instant) {
        let Some(entry) = self.sessions.get_mut(session) else {
            return;
        };
        let activity = activity.filter(|text| (1..=MAX_ACTIVITY).contains(&text.len()));
        let until = now + limits::ACTIVITY_TIMEOUT;
        let before = entry.activity.take().map(|activity| activity.0);
        // If a person has several tabs, the latest activity is shown, even if it is repeated.
        let tabs = self
            .people
            .get(&entry.person)
            .map_or(0, |present| present.sessions.len());
        if before != activity || tabs > 1 {
            self.version += 1;
        }
        if let Some(text) = activity {
            entry.activity = Some(Box::new((text, until)));
            self.schedule(until);
        }
    }

    /// The earliest end of a lease or an activity.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Extends all leases and activities after the process was suspended, when sessions could not renew them.
    pub(crate) fn extend(&mut self, paused: Duration) {
        for entry in self.sessions.values_mut() {
            let activity = entry.activity.as_mut().map(|activity| &mut activity.1);
            for until in entry.lease.as_mut().into_iter().chain(activity) {
                *until += paused;
            }
        }
        if let Some(deadline) = &mut self.deadline {
            *deadline += paused;
        }
    }

    /// Ends leases and activities that have expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        let mut expired = Vec::new();
        let mut deadline: Option<Instant> = None;
        for (session, entry) in &mut self.sessions {
            if entry.activity.take_if(|activity| activity.1 <= now).is_some() {
                self.version += 1;
            }
            if entry.lease.take_if(|until| *until <= now).is_some() {
                self.leases -= 1;
                if entry.joins == 0 {
                    expired.push(session.clone());
                }
            }
            let ends = entry.activity.iter().map(|activity| activity.1).chain(entry.lease);
            deadline = deadline.into_iter().chain(ends).min();
        }
        self.deadline = deadline;
        for session in expired {
            self.remove(&session);
        }
    }

    /// The people as other nodes are told them.
    pub(crate) fn node_people(&self) -> NodePeople {
        let named = self.order.values().filter_map(|id| self.people.get_key_value(id));
        let people: Vec<_> = named
            .take(MAX_LISTED_PEOPLE)
            .map(|(id, present)| self.listed(id, present))
            .collect();
        let sessions: usize = people.iter().map(|person| person.sessions.len()).sum();
        let more = |all: usize, listed: usize| u32::try_from(all.saturating_sub(listed)).unwrap_or(u32::MAX);
        NodePeople {
            unlisted: (
                more(self.people.len(), people.len()),
                more(self.sessions.len(), sessions),
            ),
            people,
        }
    }

    fn listed(&self, id: &str, present: &PersonPresence) -> ListedPerson {
        let mut sessions: Vec<_> = present.sessions.iter().map(|session| hash(session)).collect();
        sessions.sort_unstable();
        sessions.truncate(limits::LISTED_SESSIONS);
        ListedPerson {
            present: self.present(id, present),
            sessions,
        }
    }

    pub(crate) fn presence(&self) -> Presence {
        let named = self
            .order
            .values()
            .filter_map(|id| self.people.get_key_value(id))
            .take(MAX_LISTED_PEOPLE);
        Presence {
            people: named.map(|(id, present)| self.present(id, present)).collect(),
            people_count: u32::try_from(self.people.len()).unwrap_or(u32::MAX),
            session_count: u32::try_from(self.sessions.len()).unwrap_or(u32::MAX),
        }
    }

    /// The latest activity; ties are broken deterministically.
    fn present(&self, id: &str, present: &PersonPresence) -> PresentPerson {
        let text = present.sessions.iter().filter_map(|session| {
            let (text, until) = self.sessions.get(session)?.activity.as_deref()?;
            Some((*until, session, text))
        });
        PresentPerson {
            person: Person {
                id: PersonId(id.to_owned()),
                name: present.name.clone(),
            },
            activity: text.max().map(|(_, _, text)| text.clone()),
        }
    }

    /// The session's entry, for this person under this name. If the session's person changes, its join count is kept.
    fn upsert_session(
        &mut self,
        session: &SessionKey,
        person: Person,
        address: Option<Address>,
    ) -> &mut SessionPresence {
        let known = self.take_session(session);
        let address = known.as_ref().map_or(address, |entry| entry.address);
        if let Some(entry) = known.as_ref().filter(|entry| *entry.person != *person.id.0) {
            self.remove_from_person(&entry.person, session);
        }
        let person = self.add_to_person(person, session, address);
        let entry = match known {
            Some(entry) if entry.person == person => entry,
            Some(entry) => SessionPresence {
                person,
                activity: None,
                ..entry
            },
            None => {
                if let Some(address) = address {
                    self.by_address.entry(address).or_default().sessions += 1;
                }
                SessionPresence {
                    person,
                    address,
                    joins: 0,
                    lease: None,
                    activity: None,
                }
            }
        };
        self.sessions.entry(Arc::clone(session)).or_insert(entry)
    }

    fn take_session(&mut self, session: &str) -> Option<SessionPresence> {
        self.sessions.remove(session)
    }

    /// Returns the key of the person's id.
    fn add_to_person(&mut self, person: Person, session: &SessionKey, address: Option<Address>) -> Arc<str> {
        let Person { id: PersonId(id), name } = person;
        let Some((id, mut present)) = self.people.remove_entry(&*id) else {
            return self.add_person(id.into(), name, session, address);
        };
        if !present.sessions.contains(session) {
            present.sessions.push(Arc::clone(session));
            self.version += 1;
        }
        if present.name != name {
            present.name = name;
            self.version += 1;
        }
        self.people.insert(Arc::clone(&id), present);
        id
    }

    fn add_person(&mut self, id: Arc<str>, name: String, session: &SessionKey, address: Option<Address>) -> Arc<str> {
        if let Some(address) = address {
            self.by_address.entry(address).or_default().people += 1;
        }
        self.arrivals += 1;
        self.version += 1;
        self.order.insert(self.arrivals, Arc::clone(&id));
        let present = PersonPresence {
            name,
            arrival: self.arrivals,
            address,
            sessions: vec![Arc::clone(session)],
        };
        self.people.insert(Arc::clone(&id), present);
        id
    }

    fn remove_from_person(&mut self, person: &str, session: &str) {
        let Some(present) = self.people.get_mut(person) else {
            return;
        };
        present.sessions.retain(|known| **known != *session);
        if present.sessions.is_empty() {
            self.order.remove(&present.arrival);
            let address = present.address;
            self.people.remove(person);
            self.decrement(address, |counts| &mut counts.people);
        }
        self.version += 1;
    }

    fn remove(&mut self, session: &str) {
        if let Some(entry) = self.take_session(session) {
            self.leases -= usize::from(entry.lease.is_some());
            self.remove_from_person(&entry.person, session);
            self.decrement(entry.address, |counts| &mut counts.sessions);
        }
    }

    fn decrement(&mut self, address: Option<Address>, count: fn(&mut AddressCount) -> &mut usize) {
        let Some(address) = address else { return };
        if let Some(counts) = self.by_address.get_mut(&address) {
            let left = count(counts);
            *left = left.saturating_sub(1);
            if counts.sessions == 0 && counts.people == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    fn schedule(&mut self, at: Instant) {
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }
}

/// A hash of a session's id that is the same on all nodes.
fn hash(session: &str) -> u32 {
    let hash = Sha256::digest(session);
    hash.iter().take(4).fold(0, |bits, byte| bits << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn session(name: &str) -> SessionKey {
        name.into()
    }

    fn person(id: &str, name: &str) -> Person {
        Person {
            id: PersonId(id.to_owned()),
            name: name.to_owned(),
        }
    }

    fn shown(set: &PresenceSet) -> Vec<(String, Option<String>)> {
        let people = set.presence().people.into_iter();
        people.map(|present| (present.person.name, present.activity)).collect()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_person_with_two_tabs_is_one_person_until_both_are_gone() {
        let mut set = PresenceSet::default();
        set.join(&session("1"), person("a", "Ada"), None);
        set.join(&session("2"), person("b", "Bo"), None);
        set.join(&session("3"), person("a", "Ada"), None);
        set.join(&session("1"), person("a", "Ada"), None);
        let presence = set.presence();
        assert_eq!((presence.people_count, presence.session_count), (2, 3));
        assert_eq!(shown(&set), [("Ada".to_owned(), None), ("Bo".to_owned(), None)]);
        set.leave(&session("1"));
        set.leave(&session("1"));
        assert_eq!(set.presence().people_count, 2);
        set.leave(&session("3"));
        assert_eq!(shown(&set), [("Bo".to_owned(), None)]);
        set.leave(&session("2"));
        assert!(set.is_empty());
        assert_eq!(set.presence(), Presence::default());
    }

    #[test]
    fn an_activity_expires() {
        let now = Instant::now();
        let mut set = PresenceSet::default();
        set.join(&session("1"), person("a", "Ada"), None);
        set.set_activity(&session("1"), Some("typing".to_owned()), now);
        set.set_activity(&session("unknown"), Some("typing".to_owned()), now);
        assert_eq!(set.deadline(), Some(now + limits::ACTIVITY_TIMEOUT));
        let version = set.version();
        set.set_activity(&session("1"), Some("typing".to_owned()), now + seconds(3));
        assert_eq!(set.version(), version, "a repeated activity is no visible change");
        set.expire(now + seconds(5));
        assert_eq!(shown(&set), [("Ada".to_owned(), Some("typing".to_owned()))]);
        assert_eq!(set.deadline(), Some(now + seconds(8)));
        set.expire(now + seconds(8));
        assert_eq!(shown(&set), [("Ada".to_owned(), None)]);
        assert_eq!(set.deadline(), None);
        set.set_activity(&session("1"), Some("x".repeat(MAX_ACTIVITY + 1)), now);
        assert_eq!(shown(&set), [("Ada".to_owned(), None)]);
    }

    #[test]
    fn a_lease_expires_and_is_bounded() {
        let now = Instant::now();
        let mut set = PresenceSet::default();
        set.lease(&session("1"), person("a", "Ada"), None, now + seconds(3600), now);
        set.expire(now + limits::MAX_LEASE - seconds(1));
        assert_eq!(set.session_count(), 1);
        set.expire(now + limits::MAX_LEASE);
        assert!(set.is_empty());
        set.lease(&session("1"), person("a", "Ada"), None, now, now);
        assert!(set.is_empty());
    }

    #[test]
    fn a_rename_applies_to_all_tabs_of_the_person() {
        let mut set = PresenceSet::default();
        set.join(&session("1"), person("a", ""), None);
        set.join(&session("2"), person("a", ""), None);
        set.rename(&session("2"), "Ada".to_owned());
        assert_eq!(shown(&set), [("Ada".to_owned(), None)]);
    }

    #[test]
    fn all_people_are_counted_and_the_first_are_named() {
        let mut set = PresenceSet::default();
        for number in 0..=MAX_LISTED_PEOPLE {
            set.join(&session(&number.to_string()), person(&number.to_string(), "x"), None);
        }
        let presence = set.presence();
        assert_eq!(presence.people.len(), MAX_LISTED_PEOPLE);
        assert_eq!(presence.people_count as usize, MAX_LISTED_PEOPLE + 1);
        assert_eq!(presence.people[0].person.id.0, "0");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Join(u8, u8),
        Leave(u8),
        Lease(u8, u8, u64),
        Activity(u8, Option<u8>),
        Rename(u8, u8),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u8..5, 0u8..3).prop_map(|(session, person)| Step::Join(session, person)),
            (0u8..5).prop_map(Step::Leave),
            (0u8..5, 0u8..3, 0u64..60).prop_map(|(session, person, long)| Step::Lease(session, person, long)),
            (0u8..5, prop::option::of(0u8..3)).prop_map(|(session, text)| Step::Activity(session, text)),
            (0u8..5, 0u8..3).prop_map(|(session, name)| Step::Rename(session, name)),
            (0u64..30).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 0..100)
    }

    proptest! {
        /// Compared with a simple model. Every visible change increases the version.
        #[test]
        fn sessions_that_joined_or_have_a_lease_are_present(steps in steps()) {
            let mut now = Instant::now();
            let mut set = PresenceSet::default();
            let mut present: BTreeMap<u8, (u8, u32, Option<Instant>)> = BTreeMap::new();
            let name = |number: u8| session(&number.to_string());
            for step in steps {
                let before = (set.presence(), set.version());
                match step {
                    Step::Join(number, who) => {
                        set.join(&name(number), person(&who.to_string(), ""), None);
                        let entry = present.entry(number).or_insert((who, 0, None));
                        (entry.0, entry.1) = (who, entry.1 + 1);
                    }
                    Step::Leave(number) => {
                        set.leave(&name(number));
                        if let Some(entry) = present.get_mut(&number) { entry.1 = entry.1.saturating_sub(1); }
                    }
                    Step::Lease(number, who, long) => {
                        set.lease(&name(number), person(&who.to_string(), ""), None, now + seconds(long), now);
                        if long > 0 {
                            let entry = present.entry(number).or_insert((who, 0, None));
                            (entry.0, entry.2) = (who, entry.2.max(Some(now + seconds(long).min(limits::MAX_LEASE))));
                        }
                    }
                    Step::Activity(number, text) => set.set_activity(&name(number), text.map(|text| text.to_string()), now),
                    Step::Rename(number, to) => set.rename(&name(number), to.to_string()),
                    Step::Wait(long) => { now += seconds(long); set.expire(now); }
                }
                for entry in present.values_mut() { entry.2 = entry.2.filter(|until| *until > now); }
                present.retain(|_, entry| entry.1 > 0 || entry.2.is_some());
                let presence = set.presence();
                let people: HashSet<u8> = present.values().map(|entry| entry.0).collect();
                prop_assert_eq!(presence.session_count as usize, present.len());
                prop_assert_eq!(presence.people_count as usize, people.len());
                let named: HashSet<u8> = presence.people.iter().map(|present| present.person.id.0.parse().unwrap()).collect();
                prop_assert_eq!(named, people);
                prop_assert_eq!(set.leases, present.values().filter(|entry| entry.2.is_some()).count());
                prop_assert!(before.0 == presence || before.1 < set.version());
                prop_assert!(present.values().filter_map(|entry| entry.2).all(|until| set.deadline().is_some_and(|deadline| deadline <= until)));
            }
        }
    }
}
