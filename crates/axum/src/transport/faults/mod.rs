//! Injected faults: which sessions are open and whose they are, what was requested for each, and who is kept from which transport.
//! Switched off, it stores nothing and costs nothing.

mod gate;
mod requests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use self::gate::{Ending, FaultGate};
pub(crate) use self::requests::{order, show};
use crate::connection::counters::TransportKind;
use crate::limits;
use crate::lock::lock;
use duplex_protocol::fault::{Fault, FaultReport};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::SessionId;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    on: bool,
    kept: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, KnownSession>,
    blocks: HashMap<PersonId, Block>,
}

#[derive(Debug)]
struct KnownSession {
    owner: PersonId,
    kind: TransportKind,
    orders: watch::Sender<ActiveFaults>,
    /// Open connections of the session. One over polling has none between two polls, and stays known.
    lines: usize,
}

/// The faults that are active for a session.
#[derive(Debug, Clone, Copy, Default)]
struct ActiveFaults {
    /// Consumed by the connection that it ends.
    ending: Option<Ending>,
    delay: Duration,
    delay_until: Option<Instant>,
    shut_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    websocket: Option<Instant>,
    sse: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FaultError {
    #[error("Faults are switched off on this server; its operator can switch them on by --faults on.")]
    Off,
    #[error("No session of this name is open on this node.")]
    Unknown,
    #[error("The session is another visitor's.")]
    Foreign,
    #[error("A fault lasts for 120 s at most, and delays by 3 s at most.")]
    TooLong,
    #[error("The server makes as many faults as it may.")]
    Full,
}

impl Faults {
    pub(crate) fn new(on: bool) -> Arc<Self> {
        Arc::new(Self {
            on,
            kept: Mutex::default(),
        })
    }

    /// Registers a connection of this session. Faults requested for the session reach it through the gate.
    pub(crate) fn enter(self: &Arc<Self>, session: &SessionId, owner: &PersonId, kind: TransportKind) -> FaultGate {
        if !self.on {
            return FaultGate::default();
        }
        let kept = &mut *self.kept();
        kept.make_room();
        let full = kept.sessions.len() >= limits::FAULT_SESSIONS;
        let known = match kept.sessions.entry(session.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => return FaultGate::default(),
            Entry::Vacant(place) => place.insert(KnownSession {
                owner: owner.clone(),
                kind,
                orders: watch::Sender::default(),
                lines: 0,
            }),
        };
        if known.owner != *owner {
            return FaultGate::default();
        }
        known.kind = kind;
        known.lines += 1;
        FaultGate::new(known.orders.subscribe(), Arc::clone(self), session.clone())
    }

    /// A connection of the session has ended.
    fn leave(&self, session: &SessionId) {
        let kept = &mut *self.kept();
        let Some(known) = kept.sessions.get_mut(session) else {
            return;
        };
        known.lines = known.lines.saturating_sub(1);
        // Every WebSocket is a session of its own.
        if known.kind == TransportKind::WebSocket {
            kept.sessions.remove(session);
        }
    }

    /// Consumes the fault, so that it does not end the session's next connection, too.
    fn take_ending(&self, session: &SessionId) {
        if let Some(known) = self.kept().sessions.get(session) {
            known.orders.send_modify(|orders| orders.ending = None);
        }
    }

    /// Whether this transport is blocked for this visitor now.
    pub(crate) fn is_blocked(&self, person: &PersonId, kind: TransportKind) -> bool {
        self.on && left(self.kept().blocks.get(person).and_then(|block| block.until(kind))) > Duration::ZERO
    }

    pub(crate) fn make(&self, session: &SessionId, person: &PersonId, fault: Fault) -> Result<(), FaultError> {
        if !self.on {
            return Err(FaultError::Off);
        }
        if !fault.is_bounded() {
            return Err(FaultError::TooLong);
        }
        let kept = &mut *self.kept();
        let known = kept.sessions.get(session).ok_or(FaultError::Unknown)?;
        if known.owner != *person {
            return Err(FaultError::Foreign);
        }
        match fault {
            Fault::Cut => known.end(Ending::Cut),
            Fault::Drain => known.end(Ending::Drain),
            Fault::Delay { by_ms, for_ms } => known.orders.send_modify(|orders| {
                orders.delay = millis(by_ms);
                orders.delay_until = Some(Instant::now() + millis(for_ms));
            }),
            Fault::Slow { for_ms } => known
                .orders
                .send_modify(|orders| orders.shut_until = Some(Instant::now() + millis(for_ms))),
            Fault::Unblock => drop(kept.blocks.remove(person)),
            Fault::Block { websocket, sse, for_ms } => {
                let until = Some(Instant::now() + millis(for_ms));
                let block = Block {
                    websocket: until.filter(|_| websocket),
                    sse: until.filter(|_| sse),
                };
                kept.block(person, block)?;
            }
        }
        Ok(())
    }

    pub(crate) fn report(&self, session: &SessionId, person: &PersonId) -> FaultReport {
        let kept = &*self.kept();
        let known = kept.sessions.get(session).filter(|known| known.owner == *person);
        let orders = known.map(|known| *known.orders.borrow()).unwrap_or_default();
        let block = kept.blocks.get(person).copied().unwrap_or_default();
        let ms = |until| u64::try_from(left(until).as_millis()).unwrap_or(u64::MAX);
        FaultReport {
            on: self.on,
            known: known.is_some(),
            delay_ms: ms(orders.delay_until),
            slow_ms: ms(orders.shut_until),
            websocket_blocked_ms: ms(block.websocket),
            sse_blocked_ms: ms(block.sse),
        }
    }

    /// The state, locked.
    fn kept(&self) -> MutexGuard<'_, State> {
        lock(&self.kept)
    }
}

impl State {
    /// Forgets idle sessions when room is needed: sessions over polling do not say when they end.
    fn make_room(&mut self) {
        if self.sessions.len() >= limits::FAULT_SESSIONS {
            self.sessions.retain(|_, known| known.lines > 0);
        }
    }

    /// Blocks the transports for the visitor, and cuts the open connections.
    fn block(&mut self, person: &PersonId, block: Block) -> Result<(), FaultError> {
        self.blocks
            .retain(|_, block| left(block.websocket.max(block.sse)) > Duration::ZERO);
        if self.blocks.len() >= limits::FAULT_BLOCKS && !self.blocks.contains_key(person) {
            return Err(FaultError::Full);
        }
        self.blocks.insert(person.clone(), block);
        let cut =
            |known: &&KnownSession| known.owner == *person && known.lines > 0 && block.until(known.kind).is_some();
        self.sessions
            .values()
            .filter(cut)
            .for_each(|known| known.end(Ending::Cut));
        Ok(())
    }
}

impl KnownSession {
    fn end(&self, ending: Ending) {
        self.orders.send_modify(|orders| orders.ending = Some(ending));
    }
}

impl Block {
    const fn until(&self, kind: TransportKind) -> Option<Instant> {
        match kind {
            TransportKind::WebSocket => self.websocket,
            TransportKind::Sse => self.sse,
            // Polling is never blocked: it stands for the transport that every proxy lets pass.
            TransportKind::Poll | TransportKind::Endpoint | TransportKind::Simulation | TransportKind::Signals => None,
        }
    }
}

fn left(until: Option<Instant>) -> Duration {
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
    async fn only_the_owner_of_an_open_session_is_obeyed() {
        let faults = Faults::new(true);
        let (s, a, b) = (session("s"), person("a"), person("b"));
        assert_eq!(faults.make(&s, &a, Fault::Cut), Err(FaultError::Unknown));
        let mut gate = faults.enter(&s, &a, TransportKind::WebSocket);
        assert_eq!(faults.make(&s, &b, Fault::Cut), Err(FaultError::Foreign));
        assert!(!faults.report(&s, &b).known);
        assert_eq!(gate.ended().now_or_never(), None);
        assert_eq!(faults.make(&s, &a, Fault::Cut), Ok(()));
        assert_eq!(gate.ended().await, Ending::Cut);
        drop(gate);
        assert_eq!(faults.make(&s, &a, Fault::Cut), Err(FaultError::Unknown));
        let off = Faults::new(false);
        let mut gate = off.enter(&s, &a, TransportKind::WebSocket);
        assert_eq!(off.make(&s, &a, Fault::Cut), Err(FaultError::Off));
        assert_eq!(gate.ended().now_or_never(), None);
        assert!(off.kept().sessions.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_between_two_polls_reaches_the_next_one_and_no_other() {
        let faults = Faults::new(true);
        let (s, a) = (session("s"), person("a"));
        drop(faults.enter(&s, &a, TransportKind::Poll));
        assert_eq!(faults.make(&s, &a, Fault::Drain), Ok(()));
        assert_eq!(
            faults.enter(&s, &a, TransportKind::Poll).ended().now_or_never(),
            Some(Ending::Drain)
        );
        assert_eq!(faults.enter(&s, &a, TransportKind::Poll).ended().now_or_never(), None);
        let mut foreign = faults.enter(&s, &person("b"), TransportKind::Poll);
        assert_eq!(faults.make(&s, &a, Fault::Cut), Ok(()));
        assert_eq!(
            foreign.ended().now_or_never(),
            None,
            "a name that another has is no way in"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_shut_gate_opens_in_time_and_a_delay_holds_each_write() {
        let faults = Faults::new(true);
        let (s, a) = (session("s"), person("a"));
        let mut gate = faults.enter(&s, &a, TransportKind::WebSocket);
        let began = Instant::now();
        gate.pass().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        faults.make(&s, &a, Fault::Slow { for_ms: 7_000 }).unwrap();
        assert_eq!(faults.report(&s, &a).slow_ms, 7_000);
        gate.pass().await;
        assert_eq!(began.elapsed(), millis(7_000));
        let (by_ms, for_ms) = (300, 1_000);
        faults.make(&s, &a, Fault::Delay { by_ms, for_ms }).unwrap();
        for _ in 0..5 {
            gate.pass().await;
        }
        assert_eq!(
            began.elapsed(),
            millis(8_200),
            "four holds, and then the second is over"
        );
        faults.make(&s, &a, Fault::Slow { for_ms: 100_000 }).unwrap();
        faults.make(&s, &a, Fault::Cut).unwrap();
        gate.pass().await;
        assert_eq!(began.elapsed(), millis(8_200), "an end is not kept waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_is_the_visitors_cuts_what_is_open_and_ends() {
        let faults = Faults::new(true);
        let (a, b) = (person("a"), person("b"));
        let mut socket = faults.enter(&session("1"), &a, TransportKind::WebSocket);
        let mut stream = faults.enter(&session("2"), &a, TransportKind::Sse);
        let mut other = faults.enter(&session("3"), &b, TransportKind::WebSocket);
        let block = |websocket, sse| Fault::Block {
            websocket,
            sse,
            for_ms: 10_000,
        };
        faults.make(&session("1"), &a, block(true, false)).unwrap();
        assert_eq!(socket.ended().now_or_never(), Some(Ending::Cut));
        assert_eq!(stream.ended().now_or_never(), None);
        assert_eq!(other.ended().now_or_never(), None);
        let blocked = |who: &PersonId| {
            [TransportKind::WebSocket, TransportKind::Sse, TransportKind::Poll].map(|kind| faults.is_blocked(who, kind))
        };
        assert_eq!((blocked(&a), blocked(&b)), ([true, false, false], [false; 3]));
        faults.make(&session("2"), &a, block(true, true)).unwrap();
        assert_eq!(stream.ended().now_or_never(), Some(Ending::Cut));
        assert_eq!(blocked(&a), [true, true, false]);
        tokio::time::advance(millis(10_000)).await;
        assert_eq!(blocked(&a), [false; 3]);
        faults.make(&session("2"), &a, block(true, true)).unwrap();
        faults.make(&session("2"), &a, Fault::Unblock).unwrap();
        assert_eq!(blocked(&a), [false; 3]);
        let long = Fault::Slow { for_ms: u32::MAX };
        assert_eq!(faults.make(&session("2"), &a, long), Err(FaultError::TooLong));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let faults = Faults::new(true);
        let a = person("a");
        for number in 0..limits::FAULT_SESSIONS + 10 {
            drop(faults.enter(&session(&format!("s-{number}")), &a, TransportKind::Poll));
        }
        assert!(faults.kept().sessions.len() <= limits::FAULT_SESSIONS);
    }
}
