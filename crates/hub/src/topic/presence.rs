//! Who is in a topic: sessions, and the people they belong to. Pure: the clock comes in. Knows no task, no frame and no wake.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits;
use crate::quota::Address;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::presence::{MAX_ACTIVITY, MAX_LISTED_PEOPLE, Presence, Present};
use duplex_protocol::session::SessionId;

/// A session is present while it has joined more often than left, or a lease of it runs.
#[derive(Debug, Default)]
pub(crate) struct PresenceSet {
    sessions: HashMap<SessionId, Seat>,
    people: HashMap<PersonId, Someone>,
    /// The order in which people came.
    order: BTreeMap<u64, PersonId>,
    came: u64,
    leases: usize,
    /// Who is here from which address.
    shares: HashMap<Address, Share>,
    /// Counts changes that can be seen.
    version: u64,
    /// Nothing ends by itself before this.
    alarm: Option<Instant>,
}

#[derive(Debug, Default)]
struct Share {
    sessions: usize,
    people: usize,
}

#[derive(Debug)]
struct Seat {
    person: PersonId,
    from: Option<Address>,
    joins: u32,
    lease: Option<Instant>,
    activity: Option<(String, Instant)>,
}

#[derive(Debug)]
struct Someone {
    person: Person,
    came: u64,
    from: Option<Address>,
    sessions: HashSet<SessionId>,
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

    /// Who comes from an address that already fills its share reads as everybody does, and is not shown.
    pub(crate) fn join(&mut self, session: &SessionId, person: Person, from: Option<Address>) {
        if self.has_room(session, &person, from) {
            self.seat(session, person, from).joins += 1;
        }
    }

    fn has_room(&self, session: &SessionId, person: &Person, from: Option<Address>) -> bool {
        let Some(share) = from.and_then(|from| self.shares.get(&from)) else {
            return true;
        };
        let session_fits = share.sessions < limits::PRESENT_SESSIONS || self.sessions.contains_key(session);
        session_fits && (share.people < limits::PRESENT_PEOPLE || self.people.contains_key(&person.id))
    }

    pub(crate) fn leave(&mut self, session: &SessionId) {
        let Some(seat) = self.sessions.get_mut(session) else {
            return;
        };
        seat.joins = seat.joins.saturating_sub(1);
        if seat.joins == 0 && seat.lease.is_none() {
            self.remove(session);
        }
    }

    /// Present until then, at most [`limits::LEASE`] from now. Beyond [`limits::LEASES`] a new session is not counted.
    pub(crate) fn lease(
        &mut self,
        session: &SessionId,
        person: Person,
        from: Option<Address>,
        until: Instant,
        now: Instant,
    ) {
        let until = until.min(now + limits::LEASE);
        let full = self.leases >= limits::LEASES && !self.sessions.contains_key(session);
        if until <= now || full || !self.has_room(session, &person, from) {
            return;
        }
        let seat = self.seat(session, person, from);
        let first = seat.lease.is_none();
        seat.lease = seat.lease.max(Some(until));
        self.leases += usize::from(first);
        self.wake_at(until);
    }

    pub(crate) fn rename(&mut self, session: &SessionId, name: String) {
        let Some(seat) = self.sessions.get(session) else {
            return;
        };
        if let Some(someone) = self.people.get_mut(&seat.person)
            && someone.person.name != name
        {
            someone.person.name = name;
            self.version += 1;
        }
    }

    /// An activity with more than [`MAX_ACTIVITY`] bytes, or an empty one, is none.
    pub(crate) fn act(&mut self, session: &SessionId, activity: Option<String>, now: Instant) {
        let Some(seat) = self.sessions.get_mut(session) else {
            return;
        };
        let activity = activity.filter(|said| (1..=MAX_ACTIVITY).contains(&said.len()));
        let until = now + limits::ACTIVITY;
        let before = seat.activity.take().map(|(said, _)| said);
        // Said again in one of several tabs, it becomes the one that is shown.
        let tabs = self
            .people
            .get(&seat.person)
            .map_or(0, |someone| someone.sessions.len());
        if before != activity || tabs > 1 {
            self.version += 1;
        }
        if let Some(said) = activity {
            seat.activity = Some((said, until));
            self.wake_at(until);
        }
    }

    /// When something ends by itself, at the earliest.
    pub(crate) const fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// The process was paused: who could not be heard then has so much time more.
    pub(crate) fn postpone(&mut self, paused: Duration) {
        for seat in self.sessions.values_mut() {
            let activity = seat.activity.as_mut().map(|(_, until)| until);
            for until in seat.lease.as_mut().into_iter().chain(activity) {
                *until += paused;
            }
        }
        if let Some(alarm) = &mut self.alarm {
            *alarm += paused;
        }
    }

    /// Ends what has run out.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.alarm.is_none_or(|alarm| now < alarm) {
            return;
        }
        let mut gone = Vec::new();
        let mut alarm: Option<Instant> = None;
        for (session, seat) in &mut self.sessions {
            if seat.activity.take_if(|(_, until)| *until <= now).is_some() {
                self.version += 1;
            }
            if seat.lease.take_if(|until| *until <= now).is_some() {
                self.leases -= 1;
                if seat.joins == 0 {
                    gone.push(session.clone());
                }
            }
            let ends = seat.activity.iter().map(|(_, until)| *until).chain(seat.lease);
            alarm = alarm.into_iter().chain(ends).min();
        }
        self.alarm = alarm;
        for session in gone {
            self.remove(&session);
        }
    }

    pub(crate) fn presence(&self) -> Presence {
        let named = self
            .order
            .values()
            .filter_map(|id| self.people.get(id))
            .take(MAX_LISTED_PEOPLE);
        Presence {
            people: named.map(|someone| self.present(someone)).collect(),
            people_count: u32::try_from(self.people.len()).unwrap_or(u32::MAX),
            session_count: u32::try_from(self.sessions.len()).unwrap_or(u32::MAX),
        }
    }

    /// Of several activities, the one that was said last; of those said at once, always the same one.
    fn present(&self, someone: &Someone) -> Present {
        let said = someone.sessions.iter().filter_map(|session| {
            let (said, until) = self.sessions.get(session)?.activity.as_ref()?;
            Some((*until, session, said))
        });
        Present {
            person: someone.person.clone(),
            activity: said.max().map(|(_, _, said)| said.clone()),
        }
    }

    /// The session's seat, as that of this person under this name. A session that became somebody else keeps its joins.
    fn seat(&mut self, session: &SessionId, person: Person, from: Option<Address>) -> &mut Seat {
        let seat = match self.unseat(session) {
            Some(seat) if seat.person == person.id => seat,
            Some(seat) => {
                self.forget(&seat.person, session);
                Seat {
                    person: person.id.clone(),
                    activity: None,
                    ..seat
                }
            }
            None => {
                if let Some(from) = from {
                    self.shares.entry(from).or_default().sessions += 1;
                }
                Seat {
                    person: person.id.clone(),
                    from,
                    joins: 0,
                    lease: None,
                    activity: None,
                }
            }
        };
        self.know(person, session, seat.from);
        self.sessions.entry(session.clone()).or_insert(seat)
    }

    fn unseat(&mut self, session: &SessionId) -> Option<Seat> {
        self.sessions.remove(session)
    }

    fn know(&mut self, person: Person, session: &SessionId, from: Option<Address>) {
        let someone = self.people.entry(person.id.clone()).or_insert_with(|| {
            if let Some(from) = from {
                self.shares.entry(from).or_default().people += 1;
            }
            self.came += 1;
            self.order.insert(self.came, person.id.clone());
            Someone {
                person: person.clone(),
                came: self.came,
                from,
                sessions: HashSet::new(),
            }
        });
        if someone.sessions.insert(session.clone()) {
            self.version += 1;
        }
        if someone.person.name != person.name {
            someone.person.name = person.name;
            self.version += 1;
        }
    }

    fn forget(&mut self, person: &PersonId, session: &SessionId) {
        let Some(someone) = self.people.get_mut(person) else {
            return;
        };
        someone.sessions.remove(session);
        if someone.sessions.is_empty() {
            self.order.remove(&someone.came);
            let from = someone.from;
            self.people.remove(person);
            self.shrink(from, |share| &mut share.people);
        }
        self.version += 1;
    }

    fn remove(&mut self, session: &SessionId) {
        if let Some(seat) = self.unseat(session) {
            self.leases -= usize::from(seat.lease.is_some());
            self.forget(&seat.person, session);
            self.shrink(seat.from, |share| &mut share.sessions);
        }
    }

    fn shrink(&mut self, from: Option<Address>, count: fn(&mut Share) -> &mut usize) {
        let Some(from) = from else { return };
        if let Some(share) = self.shares.get_mut(&from) {
            let left = count(share);
            *left = left.saturating_sub(1);
            if share.sessions == 0 && share.people == 0 {
                self.shares.remove(&from);
            }
        }
    }

    fn wake_at(&mut self, at: Instant) {
        self.alarm = Some(self.alarm.map_or(at, |alarm| alarm.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn session(name: &str) -> SessionId {
        SessionId(name.to_owned())
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
    fn an_activity_ends_by_itself() {
        let now = Instant::now();
        let mut set = PresenceSet::default();
        set.join(&session("1"), person("a", "Ada"), None);
        set.act(&session("1"), Some("typing".to_owned()), now);
        set.act(&session("nobody"), Some("typing".to_owned()), now);
        assert_eq!(set.alarm(), Some(now + limits::ACTIVITY));
        let version = set.version();
        set.act(&session("1"), Some("typing".to_owned()), now + seconds(3));
        assert_eq!(set.version(), version, "said again, it looks the same");
        set.expire(now + seconds(5));
        assert_eq!(shown(&set), [("Ada".to_owned(), Some("typing".to_owned()))]);
        assert_eq!(set.alarm(), Some(now + seconds(8)));
        set.expire(now + seconds(8));
        assert_eq!(shown(&set), [("Ada".to_owned(), None)]);
        assert_eq!(set.alarm(), None);
        set.act(&session("1"), Some("x".repeat(MAX_ACTIVITY + 1)), now);
        assert_eq!(shown(&set), [("Ada".to_owned(), None)]);
    }

    #[test]
    fn a_lease_ends_by_itself_and_has_a_bound() {
        let now = Instant::now();
        let mut set = PresenceSet::default();
        set.lease(&session("1"), person("a", "Ada"), None, now + seconds(3600), now);
        set.expire(now + limits::LEASE - seconds(1));
        assert_eq!(set.session_count(), 1);
        set.expire(now + limits::LEASE);
        assert!(set.is_empty());
        set.lease(&session("1"), person("a", "Ada"), None, now, now);
        assert!(set.is_empty());
    }

    #[test]
    fn a_new_name_is_the_persons_in_all_tabs() {
        let mut set = PresenceSet::default();
        set.join(&session("1"), person("a", ""), None);
        set.join(&session("2"), person("a", ""), None);
        set.rename(&session("2"), "Ada".to_owned());
        assert_eq!(shown(&set), [("Ada".to_owned(), None)]);
    }

    #[test]
    fn a_crowd_is_counted_and_the_first_are_named() {
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
        Act(u8, Option<u8>),
        Rename(u8, u8),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u8..5, 0u8..3).prop_map(|(session, person)| Step::Join(session, person)),
            (0u8..5).prop_map(Step::Leave),
            (0u8..5, 0u8..3, 0u64..60).prop_map(|(session, person, long)| Step::Lease(session, person, long)),
            (0u8..5, prop::option::of(0u8..3)).prop_map(|(session, said)| Step::Act(session, said)),
            (0u8..5, 0u8..3).prop_map(|(session, name)| Step::Rename(session, name)),
            (0u64..30).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..100)
    }

    proptest! {
        /// Against the plainest account of who is here; and whenever what is shown changes, so does the version.
        #[test]
        fn those_are_present_who_joined_or_have_a_lease(steps in steps()) {
            let mut now = Instant::now();
            let mut set = PresenceSet::default();
            let mut here: BTreeMap<u8, (u8, u32, Option<Instant>)> = BTreeMap::new();
            let name = |number: u8| session(&number.to_string());
            for step in steps {
                let before = (set.presence(), set.version());
                match step {
                    Step::Join(number, who) => {
                        set.join(&name(number), person(&who.to_string(), ""), None);
                        let seat = here.entry(number).or_insert((who, 0, None));
                        (seat.0, seat.1) = (who, seat.1 + 1);
                    }
                    Step::Leave(number) => {
                        set.leave(&name(number));
                        if let Some(seat) = here.get_mut(&number) { seat.1 = seat.1.saturating_sub(1); }
                    }
                    Step::Lease(number, who, long) => {
                        set.lease(&name(number), person(&who.to_string(), ""), None, now + seconds(long), now);
                        if long > 0 {
                            let seat = here.entry(number).or_insert((who, 0, None));
                            (seat.0, seat.2) = (who, seat.2.max(Some(now + seconds(long).min(limits::LEASE))));
                        }
                    }
                    Step::Act(number, said) => set.act(&name(number), said.map(|said| said.to_string()), now),
                    Step::Rename(number, to) => set.rename(&name(number), to.to_string()),
                    Step::Pass(long) => { now += seconds(long); set.expire(now); }
                }
                for seat in here.values_mut() { seat.2 = seat.2.filter(|until| *until > now); }
                here.retain(|_, seat| seat.1 > 0 || seat.2.is_some());
                let presence = set.presence();
                let people: HashSet<u8> = here.values().map(|seat| seat.0).collect();
                prop_assert_eq!(presence.session_count as usize, here.len());
                prop_assert_eq!(presence.people_count as usize, people.len());
                let named: HashSet<u8> = presence.people.iter().map(|present| present.person.id.0.parse().unwrap()).collect();
                prop_assert_eq!(named, people);
                prop_assert_eq!(set.leases, here.values().filter(|seat| seat.2.is_some()).count());
                prop_assert!(before.0 == presence || before.1 < set.version());
                prop_assert!(here.values().filter_map(|seat| seat.2).all(|until| set.alarm().is_some_and(|alarm| alarm <= until)));
            }
        }
    }
}
