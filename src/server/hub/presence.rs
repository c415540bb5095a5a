//! Who is in a topic: sessions, and the people they belong to. Pure: the clock comes in. Knows no task, no frame and no wake.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio::time::Instant;

use crate::server::limits;
use crate::wire::person::{Person, PersonId};
use crate::wire::presence::{MAX_ACTIVITY, MAX_NAMED, Presence, Present};
use crate::wire::session::SessionId;

/// A session is present while it has joined more often than left, or a lease of it runs.
#[derive(Debug, Default)]
pub struct PresenceSet {
    sessions: HashMap<SessionId, Seat>,
    people: HashMap<PersonId, Someone>,
    /// The order in which people came.
    order: BTreeMap<u64, PersonId>,
    came: u64,
    leases: usize,
    /// Counts changes that can be seen.
    version: u64,
    /// Nothing ends by itself before this.
    alarm: Option<Instant>,
}

#[derive(Debug)]
struct Seat {
    person: PersonId,
    joins: u32,
    lease: Option<Instant>,
    activity: Option<(String, Instant)>,
}

#[derive(Debug)]
struct Someone {
    person: Person,
    came: u64,
    sessions: HashSet<SessionId>,
}

impl PresenceSet {
    pub const fn version(&self) -> u64 {
        self.version
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    pub fn join(&mut self, session: &SessionId, person: Person) {
        self.seat(session, person).joins += 1;
    }

    pub fn leave(&mut self, session: &SessionId) {
        let Some(seat) = self.sessions.get_mut(session) else {
            return;
        };
        seat.joins = seat.joins.saturating_sub(1);
        if seat.joins == 0 && seat.lease.is_none() {
            self.remove(session);
        }
    }

    /// Present until then, at most [`limits::LEASE`] from now. Beyond [`limits::LEASES`] a new session is not counted.
    pub fn lease(&mut self, session: &SessionId, person: Person, until: Instant, now: Instant) {
        let until = until.min(now + limits::LEASE);
        if until <= now || (self.leases >= limits::LEASES && !self.sessions.contains_key(session)) {
            return;
        }
        let seat = self.seat(session, person);
        let first = seat.lease.is_none();
        seat.lease = seat.lease.max(Some(until));
        self.leases += usize::from(first);
        self.wake_at(until);
    }

    pub fn rename(&mut self, session: &SessionId, name: String) {
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
    pub fn act(&mut self, session: &SessionId, activity: Option<String>, now: Instant) {
        let Some(seat) = self.sessions.get_mut(session) else {
            return;
        };
        let activity = activity.filter(|said| (1..=MAX_ACTIVITY).contains(&said.len()));
        let until = now + limits::ACTIVITY;
        let before = seat.activity.take().map(|(said, _)| said);
        if before != activity {
            self.version += 1;
        }
        if let Some(said) = activity {
            seat.activity = Some((said, until));
            self.wake_at(until);
        }
    }

    /// When something ends by itself, at the earliest.
    pub const fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// Ends what has run out.
    pub fn expire(&mut self, now: Instant) {
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

    pub fn presence(&self) -> Presence {
        let named = self.order.values().filter_map(|id| self.people.get(id)).take(MAX_NAMED);
        Presence {
            people: named.map(|someone| self.present(someone)).collect(),
            people_count: u32::try_from(self.people.len()).unwrap_or(u32::MAX),
            session_count: u32::try_from(self.sessions.len()).unwrap_or(u32::MAX),
        }
    }

    /// Of several activities, the one that was said last.
    fn present(&self, someone: &Someone) -> Present {
        let seats = someone.sessions.iter().filter_map(|session| self.sessions.get(session));
        let last = seats
            .filter_map(|seat| seat.activity.as_ref())
            .max_by_key(|(_, until)| *until);
        Present {
            person: someone.person.clone(),
            activity: last.map(|(said, _)| said.clone()),
        }
    }

    /// The session's seat, as that of this person under this name. A session that became somebody else keeps its joins.
    fn seat(&mut self, session: &SessionId, person: Person) -> &mut Seat {
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
            None => Seat {
                person: person.id.clone(),
                joins: 0,
                lease: None,
                activity: None,
            },
        };
        self.know(person, session);
        self.sessions.entry(session.clone()).or_insert(seat)
    }

    fn unseat(&mut self, session: &SessionId) -> Option<Seat> {
        self.sessions.remove(session)
    }

    fn know(&mut self, person: Person, session: &SessionId) {
        let someone = self.people.entry(person.id.clone()).or_insert_with(|| {
            self.came += 1;
            self.order.insert(self.came, person.id.clone());
            Someone {
                person: person.clone(),
                came: self.came,
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
            self.people.remove(person);
        }
        self.version += 1;
    }

    fn remove(&mut self, session: &SessionId) {
        if let Some(seat) = self.unseat(session) {
            self.leases -= usize::from(seat.lease.is_some());
            self.forget(&seat.person, session);
        }
    }

    fn wake_at(&mut self, at: Instant) {
        self.alarm = Some(self.alarm.map_or(at, |alarm| alarm.min(at)));
    }
}
