//! Tests of the socket machine's transitions, with a simulated clock and browser.

use super::event::{Closed, Payload, SocketError, SocketEvent, SocketState};
use super::machine::{BrowserSocketEvent, Effect, Input, Machine};
use crate::reconnect::Backoff;
use crate::runtime::clock::Millis;
use crate::runtime::page_events::PageEvent;
use duplex_protocol::code::{self, ClosedBy};

const ADDRESS: &str = "/api/socket";

/// A component and its browser: performs the machine's effects, and records the component's events.
struct Harness {
    machine: Machine,
    now: Millis,
    /// Numbers of the opened sockets.
    opened: Vec<u32>,
    detached: Vec<u32>,
    sent: Vec<Payload>,
    sent_closes: Vec<u16>,
    events: Vec<SocketEvent>,
    state: SocketState,
    reject: bool,
}

impl Harness {
    fn new(reconnect: Option<Backoff>) -> Self {
        Self {
            machine: Machine::new(reconnect),
            now: 0,
            opened: Vec::new(),
            detached: Vec::new(),
            sent: Vec::new(),
            sent_closes: Vec::new(),
            events: Vec::new(),
            state: SocketState::Connecting,
            reject: false,
        }
    }

    fn mounted(reconnect: Option<Backoff>) -> Self {
        let mut harness = Self::new(reconnect);
        harness.input(Input::Open).unwrap();
        harness.input(Input::Mount).unwrap();
        harness
    }

    fn open(reconnect: Option<Backoff>) -> Self {
        let mut harness = Self::mounted(reconnect);
        harness.on_open();
        harness
    }

    fn input(&mut self, input: Input) -> Result<(), SocketError> {
        let effects = self.machine.handle(self.now, 1.0, input);
        effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn perform(&mut self, effect: Effect) -> Result<(), SocketError> {
        match effect {
            Effect::Open(socket) => {
                assert!(self.machine.is_current(socket));
                self.opened.push(socket);
                let error = self.reject.then_some(SocketError::Connection);
                let address = ADDRESS.to_owned();
                self.input(Input::Created { address, error })?;
            }
            Effect::CloseDetached(socket) => self.detached.push(socket),
            Effect::Send(payload) => self.sent.push(payload),
            Effect::Close { code, .. } => self.sent_closes.push(code),
            Effect::ReturnError(error) => return Err(error),
            Effect::ClearError => {}
            Effect::State(state) => self.state = state,
            Effect::Emit(event) => {
                match &event {
                    SocketEvent::Closing { .. } => self.state = SocketState::Closing,
                    SocketEvent::Closed(closed) => self.state = SocketState::Closed(closed.clone()),
                    _ => {}
                }
                self.events.push(event);
            }
        }
        Ok(())
    }

    fn on_open(&mut self) {
        let (protocol, extensions) = (String::new(), String::new());
        self.input(Input::BrowserEvent(BrowserSocketEvent::Open { protocol, extensions }))
            .unwrap();
    }

    fn on_close(&mut self, code: u16) {
        let (reason, was_clean) = (String::new(), code != code::ABNORMAL);
        let event = BrowserSocketEvent::Close {
            code,
            reason,
            was_clean,
        };
        self.input(Input::BrowserEvent(event)).unwrap();
    }

    fn page(&mut self, event: PageEvent) {
        self.input(Input::Page(event)).unwrap();
    }

    /// Advances the clock to the timer. Returns false without one.
    fn wait(&mut self) -> bool {
        let Some(at) = self.machine.wake_at() else { return false };
        self.now = self.now.max(at);
        self.input(Input::Timer).unwrap();
        true
    }

    fn close(&mut self, code: u16) -> Result<(), SocketError> {
        let reason = String::new();
        self.input(Input::Close { code, reason })
    }

    fn send(&mut self) -> Result<(), SocketError> {
        self.input(Input::Send("hello".into()))
    }

    fn ended(&self) -> &Closed {
        match &self.state {
            SocketState::Closed(closed) => closed,
            other => panic!("{other:?}"),
        }
    }

    fn retry_ms(&self) -> Option<u128> {
        self.ended().retry_after.map(|delay| delay.as_millis())
    }
}

fn backoff() -> Option<Backoff> {
    Some(Backoff::default())
}

fn connecting() -> SocketEvent {
    let address = ADDRESS.to_owned();
    SocketEvent::Connecting { address }
}

#[test]
fn the_socket_opens_at_once_and_events_are_reported_from_the_mount_on() {
    let mut harness = Harness::new(None);
    harness.input(Input::Open).unwrap();
    assert_eq!((harness.opened.len(), harness.events.len()), (1, 0));
    harness.on_open();
    assert_eq!(harness.events, [], "an early opening waits for the mount");
    harness.input(Input::Mount).unwrap();
    assert_eq!(harness.events[0], connecting());
    assert!(matches!(harness.events[1..], [SocketEvent::Open { .. }]));
    assert_eq!(harness.opened, [1]);
}

#[test]
fn a_preconnected_socket_is_used_instead_of_a_new_one() {
    let mut harness = Harness::new(None);
    let address = "/api/socket?trace=1".to_owned();
    harness.input(Input::Attach { address }).unwrap();
    harness.on_open();
    harness.input(Input::Mount).unwrap();
    assert_eq!((harness.opened.len(), harness.events.len()), (0, 2));
    assert_eq!(harness.send(), Ok(()));
}

#[test]
fn a_rejected_address_is_reported_and_not_retried() {
    let mut harness = Harness::new(backoff());
    harness.reject = true;
    harness.input(Input::Open).unwrap();
    harness.input(Input::Mount).unwrap();
    harness.input(Input::Reconnect(backoff())).unwrap();
    assert_eq!(harness.state, SocketState::Rejected);
    assert_eq!(
        harness.events,
        [connecting(), SocketEvent::Error(SocketError::Connection)]
    );
    assert!(!harness.wait());
    harness.reject = false;
    harness.input(Input::Open).unwrap();
    assert_eq!((&harness.state, harness.detached.len()), (&SocketState::Connecting, 0));
}

#[test]
fn sending_fails_before_the_socket_is_open_and_after_it_closes() {
    let mut harness = Harness::mounted(None);
    assert_eq!(harness.send(), Err(SocketError::NotOpen));
    harness.on_open();
    assert_eq!(harness.send(), Ok(()));
    harness.close(code::NORMAL).unwrap();
    assert_eq!(harness.send(), Err(SocketError::NotOpen));
    assert_eq!(harness.sent, [Payload::from("hello")]);
    let reported = |event: &&SocketEvent| matches!(event, SocketEvent::Sent(_));
    assert_eq!(harness.events.iter().filter(reported).count(), 1);
}

#[test]
fn cleanup_closes_with_1000_and_reports_nothing_more() {
    let mut harness = Harness::open(backoff());
    harness.input(Input::Unmount).unwrap();
    let events = harness.events.len();
    harness.on_close(code::ABNORMAL);
    harness.page(PageEvent::Show { restored: true });
    harness.input(Input::Unmount).unwrap();
    assert_eq!(
        (&*harness.detached, harness.events.len(), harness.opened.len()),
        (&[1][..], events, 1)
    );
    assert!(!harness.wait() && !harness.machine.is_current(1));
}

#[test]
fn cleanup_before_the_mount_closes_the_socket() {
    let mut harness = Harness::new(backoff());
    harness.input(Input::Open).unwrap();
    harness.input(Input::Unmount).unwrap();
    harness.input(Input::Mount).unwrap();
    assert_eq!((&*harness.detached, harness.events.len()), (&[1][..], 0));
}

#[test]
fn a_remounted_component_has_a_new_socket() {
    let mut first = Harness::open(None);
    first.input(Input::Unmount).unwrap();
    let second = Harness::open(None);
    assert_eq!(
        (first.detached.len(), second.detached.len(), second.opened.len()),
        (1, 0, 1)
    );
}

#[test]
fn a_lost_socket_is_reopened_with_growing_delays_until_one_is_stable() {
    let mut harness = Harness::open(backoff());
    let mut delays = Vec::new();
    for uptime in [0, 4_999, 0, 5_000, 0] {
        harness.now += uptime;
        harness.on_close(code::ABNORMAL);
        delays.push(harness.retry_ms().unwrap());
        assert!(harness.wait());
        assert_eq!(harness.state, SocketState::Connecting);
        harness.on_open();
    }
    assert_eq!(delays, [500, 1_000, 2_000, 500, 1_000]);
    assert_eq!((harness.opened.len(), harness.detached.len()), (6, 0));
}

#[test]
fn an_attempt_that_fails_before_it_opens_counts_as_a_failure() {
    let mut harness = Harness::mounted(backoff());
    harness.now = 60_000;
    let mut delays = Vec::new();
    for _ in 0..8 {
        harness.on_close(code::ABNORMAL);
        delays.push(harness.retry_ms().unwrap());
        harness.wait();
    }
    assert_eq!(delays, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}

#[test]
fn a_timer_that_fires_too_early_opens_nothing() {
    let mut harness = Harness::open(backoff());
    harness.on_close(code::ABNORMAL);
    harness.input(Input::Timer).unwrap();
    assert_eq!(harness.opened, [1]);
}

#[test]
fn whether_to_reconnect_depends_on_the_side_that_closed() {
    for (code, retries, by) in [
        (code::NORMAL, false, ClosedBy::Server),
        (code::GOING_AWAY, true, ClosedBy::Server),
        (code::INTERNAL_ERROR, true, ClosedBy::Server),
        (code::RESTART, true, ClosedBy::Server),
        (code::ABNORMAL, true, ClosedBy::Network),
    ] {
        let mut harness = Harness::open(backoff());
        harness.on_close(code);
        assert_eq!(
            (harness.retry_ms().is_some(), harness.ended().by),
            (retries, by),
            "{code}"
        );
    }
    let mut harness = Harness::open(backoff());
    harness.close(4_000).unwrap();
    harness.on_close(4_000);
    assert_eq!(
        (harness.retry_ms(), harness.ended().by, &*harness.sent_closes),
        (None, ClosedBy::Client, &[4_000][..])
    );
}

#[test]
fn an_invalid_close_code_or_reason_is_rejected() {
    let mut harness = Harness::open(None);
    assert!(matches!(harness.close(code::GOING_AWAY), Err(SocketError::Close(_))));
    let reason = "x".repeat(code::MAX_REASON + 1);
    let code = code::NORMAL;
    assert!(matches!(
        harness.input(Input::Close { code, reason }),
        Err(SocketError::Close(_))
    ));
    assert_eq!((harness.sent_closes.len(), harness.send()), (0, Ok(())));
}

#[test]
fn switching_reconnect_on_later_reopens_a_lost_socket() {
    let mut harness = Harness::open(None);
    harness.on_close(code::ABNORMAL);
    assert_eq!((harness.retry_ms(), harness.wait()), (None, false));
    harness.input(Input::Reconnect(backoff())).unwrap();
    assert_eq!(harness.retry_ms(), Some(500));
    harness.input(Input::Reconnect(None)).unwrap();
    assert_eq!((harness.retry_ms(), harness.wait()), (None, false));
}

#[test]
fn closing_during_the_wait_cancels_the_retry() {
    let mut harness = Harness::open(backoff());
    harness.on_close(code::ABNORMAL);
    assert_eq!(harness.close(code::NORMAL), Err(SocketError::NotOpen));
    assert_eq!((harness.retry_ms(), harness.wait()), (None, false));
}

#[test]
fn only_the_online_event_of_the_page_ends_the_wait() {
    let mut harness = Harness::open(backoff());
    harness.page(PageEvent::Offline);
    harness.page(PageEvent::Online);
    assert_eq!(harness.opened, [1], "an open socket stays");
    harness.on_close(code::ABNORMAL);
    for event in [
        PageEvent::Offline,
        PageEvent::Visible(false),
        PageEvent::Visible(true),
        PageEvent::Retry,
        PageEvent::Show { restored: false },
        PageEvent::Resume,
    ] {
        harness.page(event);
        assert_eq!(harness.opened, [1], "{event:?}");
    }
    harness.page(PageEvent::Online);
    assert_eq!(harness.opened, [1, 2]);
    assert!(!harness.wait());
}

#[test]
fn a_hidden_or_visible_page_keeps_its_socket() {
    let mut harness = Harness::open(backoff());
    harness.page(PageEvent::Visible(false));
    harness.page(PageEvent::Visible(true));
    assert_eq!((harness.sent_closes.len(), harness.send()), (0, Ok(())));
}

#[test]
fn a_cached_page_closes_its_socket_and_a_restored_one_reopens_it() {
    let mut harness = Harness::open(backoff());
    harness.page(PageEvent::Hide);
    harness.page(PageEvent::Freeze);
    assert_eq!(
        (&*harness.sent_closes, &harness.state),
        (&[code::NORMAL][..], &SocketState::Closing)
    );
    harness.page(PageEvent::Resume);
    assert_eq!(harness.opened, [1]);
    harness.page(PageEvent::Show { restored: true });
    assert_eq!((&*harness.detached, &*harness.opened), (&[1][..], &[1, 2][..]));
    assert_eq!(harness.state, SocketState::Connecting);
}

#[test]
fn a_frozen_page_closes_its_socket_and_a_resumed_one_reopens_it() {
    let mut harness = Harness::open(None);
    harness.page(PageEvent::Freeze);
    harness.on_close(code::NORMAL);
    assert_eq!(harness.ended().by, ClosedBy::Client);
    harness.page(PageEvent::Resume);
    harness.page(PageEvent::Resume);
    assert_eq!(
        (&*harness.sent_closes, &*harness.opened),
        (&[code::NORMAL][..], &[1, 2][..])
    );
    let mut closed = Harness::open(None);
    closed.close(code::NORMAL).unwrap();
    closed.page(PageEvent::Freeze);
    closed.page(PageEvent::Resume);
    assert_eq!(closed.opened, [1], "a socket closed by the visitor stays closed");
}

#[test]
fn opening_replaces_the_current_socket() {
    let mut harness = Harness::open(backoff());
    harness.input(Input::Open).unwrap();
    assert_eq!((&*harness.detached, &*harness.opened), (&[1][..], &[1, 2][..]));
    assert!(!harness.machine.is_current(1) && harness.machine.is_current(2));
    let tail = &harness.events[harness.events.len() - 2..];
    assert!(matches!(
        tail,
        [
            SocketEvent::Closing { code: code::NORMAL, .. },
            SocketEvent::Connecting { .. }
        ]
    ));
}

#[test]
fn a_close_by_the_server_is_not_attributed_to_the_client() {
    let mut harness = Harness::open(backoff());
    harness.input(Input::ClosePending).unwrap();
    assert_eq!(
        (harness.send(), harness.close(code::NORMAL)),
        (Err(SocketError::NotOpen), Err(SocketError::NotOpen))
    );
    harness.on_close(code::RESTART);
    assert_eq!((harness.ended().by, harness.retry_ms()), (ClosedBy::Server, Some(500)));
}
