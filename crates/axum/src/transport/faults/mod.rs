//! Fault injection: the open sessions and their owners, the faults requested for each session, and the transports blocked for each
//! visitor. When disabled, it stores nothing.

mod gate;
mod requests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use self::gate::{FaultGate, InjectedEnd};
pub(crate) use self::requests::{get_report, post_fault};
use crate::connection::counters::ConnectionKind;
use crate::limits;
use crate::lock::lock;
use duplex_protocol::fault::{Fault, FaultReport};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::SessionId;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    enabled: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, RegisteredSession>,
    blocks: HashMap<PersonId, Block>,
}

#[derive(Debug)]
struct RegisteredSession {
    owner: PersonId,
    kind: ConnectionKind,
    active: watch::Sender<ActiveFaults>,
    /// Open connections of the session. A polling session has none between polls but stays registered.
    connections: usize,
}

/// The faults that are active for a session.
#[derive(Debug, Clone, Copy, Default)]
struct ActiveFaults {
    /// Consumed by the connection that it ends.
    end: Option<InjectedEnd>,
    delay: Duration,
    delay_until: Option<Instant>,
    slow_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    websocket: Option<Instant>,
    sse: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FaultError {
    #[error("Faults are switched off on this server; its operator can switch them on with --faults on.")]
    Disabled,
    #[error("No session with this id is open on this node.")]
    Unknown,
    #[error("The session belongs to another visitor.")]
    NotOwner,
    #[error("A fault lasts at most 120 s and delays by at most 3 s.")]
    TooLong,
    #[error("The server is at its limit of faults.")]
    Full,
}

impl Faults {
    pub(crate) fn new(enabled: bool) -> Arc<Self> {
        Arc::new(Self {
            enabled,
            state: Mutex::default(),
        })
    }

    /// Registers a connection of this session. Faults requested for the session reach it through the gate.
    pub(crate) fn register(self: &Arc<Self>, session: &SessionId, owner: &PersonId, kind: ConnectionKind) -> FaultGate {
        if !self.enabled {
            return FaultGate::default();
        }
        let state = &mut *self.lock();
        state.evict_idle();
        let full = state.sessions.len() >= limits::FAULT_SESSIONS;
        let registered = match state.sessions.entry(session.clone()) {
            Entry::Occupied(registered) => registered.into_mut(),
            Entry::Vacant(_) if full => return FaultGate::default(),
            Entry::Vacant(entry) => entry.insert(RegisteredSession {
                owner: owner.clone(),
                kind,
                active: watch::Sender::default(),
                connections: 0,
            }),
        };
        if registered.owner != *owner {
            return FaultGate::default();
        }
        registered.kind = kind;
        registered.connections += 1;
        FaultGate::new(registered.active.subscribe(), Arc::clone(self), session.clone())
    }

    /// Removes a connection of the session.
    fn unregister(&self, session: &SessionId) {
        let state = &mut *self.lock();
        let Some(registered) = state.sessions.get_mut(session) else {
            return;
        };
        registered.connections = registered.connections.saturating_sub(1);
        // Every WebSocket is a session of its own.
        if registered.kind == ConnectionKind::WebSocket {
            state.sessions.remove(session);
        }
    }

    /// Consumes the fault, so that it does not also end the session's next connection.
    fn take_end(&self, session: &SessionId) {
        if let Some(registered) = self.lock().sessions.get(session) {
            registered.active.send_modify(|active| active.end = None);
        }
    }

    /// Whether this transport is blocked for this visitor now.
    pub(crate) fn is_blocked(&self, person: &PersonId, kind: ConnectionKind) -> bool {
        self.enabled && remaining(self.lock().blocks.get(person).and_then(|block| block.until(kind))) > Duration::ZERO
    }

    pub(crate) fn inject(&self, session: &SessionId, person: &PersonId, fault: Fault) -> Result<(), FaultError> {
        if !self.enabled {
            return Err(FaultError::Disabled);
        }
        if !fault.is_bounded() {
            return Err(FaultError::TooLong);
        }
        let state = &mut *self.lock();
        let registered = state.sessions.get(session).ok_or(FaultError::Unknown)?;
        if registered.owner != *person {
            return Err(FaultError::NotOwner);
        }
        match fault {
            Fault::Disconnect => registered.end(InjectedEnd::Abort),
            Fault::Drain => registered.end(InjectedEnd::Drain),
            Fault::Delay { by_ms, for_ms } => registered.active.send_modify(|active| {
                active.delay = millis(by_ms);
                active.delay_until = Some(Instant::now() + millis(for_ms));
            }),
            Fault::Stall { for_ms } => registered
                .active
                .send_modify(|active| active.slow_until = Some(Instant::now() + millis(for_ms))),
            Fault::Unblock => drop(state.blocks.remove(person)),
            Fault::Block { websocket, sse, for_ms } => {
                let until = Some(Instant::now() + millis(for_ms));
                let block = Block {
                    websocket: until.filter(|_| websocket),
                    sse: until.filter(|_| sse),
                };
                state.block(person, block)?;
            }
        }
        Ok(())
    }

    pub(crate) fn report(&self, session: &SessionId, person: &PersonId) -> FaultReport {
        let state = &*self.lock();
        let registered = state
            .sessions
            .get(session)
            .filter(|registered| registered.owner == *person);
        let active = registered
            .map(|registered| *registered.active.borrow())
            .unwrap_or_default();
        let block = state.blocks.get(person).copied().unwrap_or_default();
        let ms = |until| u64::try_from(remaining(until).as_millis()).unwrap_or(u64::MAX);
        FaultReport {
            enabled: self.enabled,
            is_own_session: registered.is_some(),
            delay_ms: ms(active.delay_until),
            stall_ms: ms(active.slow_until),
            websocket_blocked_ms: ms(block.websocket),
            sse_blocked_ms: ms(block.sse),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Removes idle sessions when the table is full: a polling session has no end that the server sees.
    fn evict_idle(&mut self) {
        if self.sessions.len() >= limits::FAULT_SESSIONS {
            self.sessions.retain(|_, registered| registered.connections > 0);
        }
    }

    /// Blocks the transports for the visitor, and ends the open connections.
    fn block(&mut self, person: &PersonId, block: Block) -> Result<(), FaultError> {
        self.blocks
            .retain(|_, block| remaining(block.websocket.max(block.sse)) > Duration::ZERO);
        if self.blocks.len() >= limits::FAULT_BLOCKS && !self.blocks.contains_key(person) {
            return Err(FaultError::Full);
        }
        self.blocks.insert(person.clone(), block);
        let is_affected = |registered: &&RegisteredSession| {
            registered.owner == *person && registered.connections > 0 && block.until(registered.kind).is_some()
        };
        self.sessions
            .values()
            .filter(is_affected)
            .for_each(|registered| registered.end(InjectedEnd::Abort));
        Ok(())
    }
}

impl RegisteredSession {
    fn end(&self, end: InjectedEnd) {
        self.active.send_modify(|active| active.end = Some(end));
    }
}

impl Block {
    const fn until(&self, kind: ConnectionKind) -> Option<Instant> {
        match kind {
            ConnectionKind::WebSocket => self.websocket,
            ConnectionKind::Sse => self.sse,
            // Polling is never blocked: it represents the transport that works through every proxy.
            ConnectionKind::Poll | ConnectionKind::Endpoint | ConnectionKind::Simulation | ConnectionKind::Signals => {
                None
            }
        }
    }
}

fn remaining(until: Option<Instant>) -> Duration {
    until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
}

fn millis(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn session(name: &str) -> SessionId {
        SessionId(name.to_owned())
    }

    fn person(name: &str) -> PersonId {
        PersonId(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_owner_of_an_open_session_can_inject_faults() {
        let faults = Faults::new(true);
        let (s, a, b) = (session("s"), person("a"), person("b"));
        assert_eq!(faults.inject(&s, &a, Fault::Disconnect), Err(FaultError::Unknown));
        let mut gate = faults.register(&s, &a, ConnectionKind::WebSocket);
        assert_eq!(faults.inject(&s, &b, Fault::Disconnect), Err(FaultError::NotOwner));
        assert!(!faults.report(&s, &b).is_own_session);
        assert_eq!(gate.ended().now_or_never(), None);
        assert_eq!(faults.inject(&s, &a, Fault::Disconnect), Ok(()));
        assert_eq!(gate.ended().await, InjectedEnd::Abort);
        drop(gate);
        assert_eq!(faults.inject(&s, &a, Fault::Disconnect), Err(FaultError::Unknown));
        let off = Faults::new(false);
        let mut gate = off.register(&s, &a, ConnectionKind::WebSocket);
        assert_eq!(off.inject(&s, &a, Fault::Disconnect), Err(FaultError::Disabled));
        assert_eq!(gate.ended().now_or_never(), None);
        assert!(off.lock().sessions.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_between_two_polls_affects_only_the_next_one() {
        let faults = Faults::new(true);
        let (s, a) = (session("s"), person("a"));
        drop(faults.register(&s, &a, ConnectionKind::Poll));
        assert_eq!(faults.inject(&s, &a, Fault::Drain), Ok(()));
        assert_eq!(
            faults.register(&s, &a, ConnectionKind::Poll).ended().now_or_never(),
            Some(InjectedEnd::Drain)
        );
        assert_eq!(
            faults.register(&s, &a, ConnectionKind::Poll).ended().now_or_never(),
            None
        );
        let mut foreign = faults.register(&s, &person("b"), ConnectionKind::Poll);
        assert_eq!(faults.inject(&s, &a, Fault::Disconnect), Ok(()));
        assert_eq!(
            foreign.ended().now_or_never(),
            None,
            "another visitor's session id gives no access"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_fault_expires_and_a_delay_applies_to_each_write() {
        let faults = Faults::new(true);
        let (s, a) = (session("s"), person("a"));
        let mut gate = faults.register(&s, &a, ConnectionKind::WebSocket);
        let began = Instant::now();
        gate.writable().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        faults.inject(&s, &a, Fault::Stall { for_ms: 7_000 }).unwrap();
        assert_eq!(faults.report(&s, &a).stall_ms, 7_000);
        gate.writable().await;
        assert_eq!(began.elapsed(), millis(7_000));
        let (by_ms, for_ms) = (300, 1_000);
        faults.inject(&s, &a, Fault::Delay { by_ms, for_ms }).unwrap();
        for _ in 0..5 {
            gate.writable().await;
        }
        assert_eq!(
            began.elapsed(),
            millis(8_200),
            "four delays, then the fault has expired"
        );
        faults.inject(&s, &a, Fault::Stall { for_ms: 100_000 }).unwrap();
        faults.inject(&s, &a, Fault::Disconnect).unwrap();
        gate.writable().await;
        assert_eq!(began.elapsed(), millis(8_200), "an end is not delayed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_applies_to_its_visitor_ends_open_connections_and_expires() {
        let faults = Faults::new(true);
        let (a, b) = (person("a"), person("b"));
        let mut socket = faults.register(&session("1"), &a, ConnectionKind::WebSocket);
        let mut stream = faults.register(&session("2"), &a, ConnectionKind::Sse);
        let mut other = faults.register(&session("3"), &b, ConnectionKind::WebSocket);
        let block = |websocket, sse| Fault::Block {
            websocket,
            sse,
            for_ms: 10_000,
        };
        faults.inject(&session("1"), &a, block(true, false)).unwrap();
        assert_eq!(socket.ended().now_or_never(), Some(InjectedEnd::Abort));
        assert_eq!(stream.ended().now_or_never(), None);
        assert_eq!(other.ended().now_or_never(), None);
        let blocked = |who: &PersonId| {
            [ConnectionKind::WebSocket, ConnectionKind::Sse, ConnectionKind::Poll]
                .map(|kind| faults.is_blocked(who, kind))
        };
        assert_eq!((blocked(&a), blocked(&b)), ([true, false, false], [false; 3]));
        faults.inject(&session("2"), &a, block(true, true)).unwrap();
        assert_eq!(stream.ended().now_or_never(), Some(InjectedEnd::Abort));
        assert_eq!(blocked(&a), [true, true, false]);
        tokio::time::advance(millis(10_000)).await;
        assert_eq!(blocked(&a), [false; 3]);
        faults.inject(&session("2"), &a, block(true, true)).unwrap();
        faults.inject(&session("2"), &a, Fault::Unblock).unwrap();
        assert_eq!(blocked(&a), [false; 3]);
        let long = Fault::Stall { for_ms: u32::MAX };
        assert_eq!(faults.inject(&session("2"), &a, long), Err(FaultError::TooLong));
    }

    #[test]
    fn the_sessions_are_bounded() {
        let faults = Faults::new(true);
        let a = person("a");
        for number in 0..limits::FAULT_SESSIONS + 10 {
            drop(faults.register(&session(&format!("s-{number}")), &a, ConnectionKind::Poll));
        }
        assert!(faults.lock().sessions.len() <= limits::FAULT_SESSIONS);
    }
}
