//! The socket's transitions, on a clock and a browser of the test's own.

use super::event::{Closed, Payload, SocketError, SocketEvent, SocketState};
use super::machine::{Effect, Input, Machine, SocketReport};
use crate::reconnect::Backoff;
use crate::runtime::clock::Millis;
use crate::runtime::page_events::PageEvent;
use duplex_protocol::code::{self, Side};

const ADDRESS: &str = "/api/socket";

/// A component with its browser: opens what the machine asks for, and keeps what the component would be told.
struct Bench {
    machine: Machine,
    now: Millis,
    /// Sockets that the browser was asked for, by number.
    opened: Vec<u32>,
    abandoned: Vec<u32>,
    sent: Vec<Payload>,
    closes: Vec<u16>,
    events: Vec<SocketEvent>,
    state: SocketState,
    refuse: bool,
}

impl Bench {
    fn new(reconnect: Option<Backoff>) -> Self {
        Self {
            machine: Machine::new(reconnect),
            now: 0,
            opened: Vec::new(),
            abandoned: Vec::new(),
            sent: Vec::new(),
            closes: Vec::new(),
            events: Vec::new(),
            state: SocketState::Connecting,
            refuse: false,
        }
    }

    fn mounted(reconnect: Option<Backoff>) -> Self {
        let mut bench = Self::new(reconnect);
        bench.input(Input::Open).unwrap();
        bench.input(Input::Mount).unwrap();
        bench
    }

    fn open(reconnect: Option<Backoff>) -> Self {
        let mut bench = Self::mounted(reconnect);
        bench.opens();
        bench
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
                let refused = self.refuse.then_some(SocketError::Connection);
                let address = ADDRESS.to_owned();
                self.input(Input::Dialed { address, refused })?;
            }
            Effect::Abandon(socket) => self.abandoned.push(socket),
            Effect::Send(payload) => self.sent.push(payload),
            Effect::Close { code, .. } => self.closes.push(code),
            Effect::Fail(error) => return Err(error),
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

    fn opens(&mut self) {
        let (protocol, extensions) = (String::new(), String::new());
        self.input(Input::Report(SocketReport::Open { protocol, extensions }))
            .unwrap();
    }

    fn closes(&mut self, code: u16) {
        let (reason, was_clean) = (String::new(), code != code::ABNORMAL);
        let report = SocketReport::Close {
            code,
            reason,
            was_clean,
        };
        self.input(Input::Report(report)).unwrap();
    }

    fn page(&mut self, event: PageEvent) {
        self.input(Input::Page(event)).unwrap();
    }

    /// Lets the clock run to the timer. False: there is none.
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
        self.ended().retry.map(|delay| delay.as_millis())
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
fn the_browser_is_asked_at_once_and_the_component_is_told_from_its_mount_on() {
    let mut bench = Bench::new(None);
    bench.input(Input::Open).unwrap();
    assert_eq!((bench.opened.len(), bench.events.len()), (1, 0));
    bench.opens();
    assert_eq!(bench.events, [], "an early opening waits for the mount");
    bench.input(Input::Mount).unwrap();
    assert_eq!(bench.events[0], connecting());
    assert!(matches!(bench.events[1..], [SocketEvent::Open { .. }]));
    assert_eq!(bench.opened, [1]);
}

#[test]
fn a_socket_of_the_page_is_used_in_place_of_a_new_one() {
    let mut bench = Bench::new(None);
    let address = "/api/socket?trace=1".to_owned();
    bench.input(Input::Adopt { address }).unwrap();
    bench.opens();
    bench.input(Input::Mount).unwrap();
    assert_eq!((bench.opened.len(), bench.events.len()), (0, 2));
    assert_eq!(bench.send(), Ok(()));
}

#[test]
fn a_refused_address_is_shown_and_not_tried_again() {
    let mut bench = Bench::new(backoff());
    bench.refuse = true;
    bench.input(Input::Open).unwrap();
    bench.input(Input::Mount).unwrap();
    bench.input(Input::Reconnect(backoff())).unwrap();
    assert_eq!(bench.state, SocketState::Refused);
    assert_eq!(
        bench.events,
        [connecting(), SocketEvent::Error(SocketError::Connection)]
    );
    assert!(!bench.wait());
    bench.refuse = false;
    bench.input(Input::Open).unwrap();
    assert_eq!((&bench.state, bench.abandoned.len()), (&SocketState::Connecting, 0));
}

#[test]
fn nothing_is_sent_before_the_socket_is_open_or_after_it_closes() {
    let mut bench = Bench::mounted(None);
    assert_eq!(bench.send(), Err(SocketError::NotOpen));
    bench.opens();
    assert_eq!(bench.send(), Ok(()));
    bench.close(code::NORMAL).unwrap();
    assert_eq!(bench.send(), Err(SocketError::NotOpen));
    assert_eq!(bench.sent, [Payload::from("hello")]);
    let reported = |event: &&SocketEvent| matches!(event, SocketEvent::Sent(_));
    assert_eq!(bench.events.iter().filter(reported).count(), 1);
}

#[test]
fn cleanup_closes_with_1000_and_reports_nothing_more() {
    let mut bench = Bench::open(backoff());
    bench.input(Input::Unmount).unwrap();
    let events = bench.events.len();
    bench.closes(code::ABNORMAL);
    bench.page(PageEvent::Show { restored: true });
    bench.input(Input::Unmount).unwrap();
    assert_eq!(
        (&*bench.abandoned, bench.events.len(), bench.opened.len()),
        (&[1][..], events, 1)
    );
    assert!(!bench.wait() && !bench.machine.is_current(1));
}

#[test]
fn cleanup_before_the_mount_closes_what_was_asked_for() {
    let mut bench = Bench::new(backoff());
    bench.input(Input::Open).unwrap();
    bench.input(Input::Unmount).unwrap();
    bench.input(Input::Mount).unwrap();
    assert_eq!((&*bench.abandoned, bench.events.len()), (&[1][..], 0));
}

#[test]
fn a_component_that_is_mounted_again_has_a_socket_of_its_own() {
    let mut first = Bench::open(None);
    first.input(Input::Unmount).unwrap();
    let second = Bench::open(None);
    assert_eq!(
        (first.abandoned.len(), second.abandoned.len(), second.opened.len()),
        (1, 0, 1)
    );
}

#[test]
fn a_lost_socket_is_opened_again_later_each_time_until_one_lasts() {
    let mut bench = Bench::open(backoff());
    let mut delays = Vec::new();
    for uptime in [0, 4_999, 0, 5_000, 0] {
        bench.now += uptime;
        bench.closes(code::ABNORMAL);
        delays.push(bench.retry_ms().unwrap());
        assert!(bench.wait());
        assert_eq!(bench.state, SocketState::Connecting);
        bench.opens();
    }
    assert_eq!(delays, [500, 1_000, 2_000, 500, 1_000]);
    assert_eq!((bench.opened.len(), bench.abandoned.len()), (6, 0));
}

#[test]
fn an_attempt_that_fails_before_it_opens_counts_as_a_failure() {
    let mut bench = Bench::mounted(backoff());
    bench.now = 60_000;
    let mut delays = Vec::new();
    for _ in 0..8 {
        bench.closes(code::ABNORMAL);
        delays.push(bench.retry_ms().unwrap());
        bench.wait();
    }
    assert_eq!(delays, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}

#[test]
fn a_timer_that_fires_too_early_opens_nothing() {
    let mut bench = Bench::open(backoff());
    bench.closes(code::ABNORMAL);
    bench.input(Input::Timer).unwrap();
    assert_eq!(bench.opened, [1]);
}

#[test]
fn who_ended_it_decides_whether_it_comes_back() {
    for (code, retries, by) in [
        (code::NORMAL, false, Side::Server),
        (code::GOING_AWAY, true, Side::Server),
        (code::INTERNAL_ERROR, true, Side::Server),
        (code::RESTART, true, Side::Server),
        (code::ABNORMAL, true, Side::Network),
    ] {
        let mut bench = Bench::open(backoff());
        bench.closes(code);
        assert_eq!((bench.retry_ms().is_some(), bench.ended().by), (retries, by), "{code}");
    }
    let mut bench = Bench::open(backoff());
    bench.close(4_000).unwrap();
    bench.closes(4_000);
    assert_eq!(
        (bench.retry_ms(), bench.ended().by, &*bench.closes),
        (None, Side::Client, &[4_000][..])
    );
}

#[test]
fn a_code_or_a_reason_that_no_close_frame_may_have_is_refused() {
    let mut bench = Bench::open(None);
    assert!(matches!(bench.close(code::GOING_AWAY), Err(SocketError::Close(_))));
    let reason = "x".repeat(code::MAX_REASON + 1);
    let code = code::NORMAL;
    assert!(matches!(
        bench.input(Input::Close { code, reason }),
        Err(SocketError::Close(_))
    ));
    assert_eq!((bench.closes.len(), bench.send()), (0, Ok(())));
}

#[test]
fn reconnecting_that_is_switched_on_late_takes_up_a_lost_socket() {
    let mut bench = Bench::open(None);
    bench.closes(code::ABNORMAL);
    assert_eq!((bench.retry_ms(), bench.wait()), (None, false));
    bench.input(Input::Reconnect(backoff())).unwrap();
    assert_eq!(bench.retry_ms(), Some(500));
    bench.input(Input::Reconnect(None)).unwrap();
    assert_eq!((bench.retry_ms(), bench.wait()), (None, false));
}

#[test]
fn a_visitor_who_closes_while_it_waits_ends_the_wait() {
    let mut bench = Bench::open(backoff());
    bench.closes(code::ABNORMAL);
    assert_eq!(bench.close(code::NORMAL), Err(SocketError::NotOpen));
    assert_eq!((bench.retry_ms(), bench.wait()), (None, false));
}

#[test]
fn a_network_that_returns_ends_the_wait_and_nothing_else_of_the_page_does() {
    let mut bench = Bench::open(backoff());
    bench.page(PageEvent::Offline);
    bench.page(PageEvent::Online);
    assert_eq!(bench.opened, [1], "an open socket is left alone");
    bench.closes(code::ABNORMAL);
    for event in [
        PageEvent::Offline,
        PageEvent::Visible(false),
        PageEvent::Visible(true),
        PageEvent::Retry,
        PageEvent::Show { restored: false },
        PageEvent::Resume,
    ] {
        bench.page(event);
        assert_eq!(bench.opened, [1], "{event:?}");
    }
    bench.page(PageEvent::Online);
    assert_eq!(bench.opened, [1, 2]);
    assert!(!bench.wait());
}

#[test]
fn a_hidden_or_visible_page_keeps_its_socket() {
    let mut bench = Bench::open(backoff());
    bench.page(PageEvent::Visible(false));
    bench.page(PageEvent::Visible(true));
    assert_eq!((bench.closes.len(), bench.send()), (0, Ok(())));
}

#[test]
fn a_page_in_the_back_forward_cache_has_no_socket_and_opens_one_when_it_is_restored() {
    let mut bench = Bench::open(backoff());
    bench.page(PageEvent::Hide);
    bench.page(PageEvent::Freeze);
    assert_eq!(
        (&*bench.closes, &bench.state),
        (&[code::NORMAL][..], &SocketState::Closing)
    );
    bench.page(PageEvent::Resume);
    assert_eq!(bench.opened, [1]);
    bench.page(PageEvent::Show { restored: true });
    assert_eq!((&*bench.abandoned, &*bench.opened), (&[1][..], &[1, 2][..]));
    assert_eq!(bench.state, SocketState::Connecting);
}

#[test]
fn a_frozen_page_closes_its_socket_and_opens_one_when_it_is_resumed() {
    let mut bench = Bench::open(None);
    bench.page(PageEvent::Freeze);
    bench.closes(code::NORMAL);
    assert_eq!(bench.ended().by, Side::Client);
    bench.page(PageEvent::Resume);
    bench.page(PageEvent::Resume);
    assert_eq!((&*bench.closes, &*bench.opened), (&[code::NORMAL][..], &[1, 2][..]));
    let mut closed = Bench::open(None);
    closed.close(code::NORMAL).unwrap();
    closed.page(PageEvent::Freeze);
    closed.page(PageEvent::Resume);
    assert_eq!(closed.opened, [1], "what the visitor closed stays closed");
}

#[test]
fn opening_by_hand_replaces_the_socket_that_is_there() {
    let mut bench = Bench::open(backoff());
    bench.input(Input::Open).unwrap();
    assert_eq!((&*bench.abandoned, &*bench.opened), (&[1][..], &[1, 2][..]));
    assert!(!bench.machine.is_current(1) && bench.machine.is_current(2));
    let tail = &bench.events[bench.events.len() - 2..];
    assert!(matches!(
        tail,
        [
            SocketEvent::Closing { code: code::NORMAL, .. },
            SocketEvent::Connecting { .. }
        ]
    ));
}

#[test]
fn a_server_that_is_closing_is_not_answered_by_a_close_of_ours() {
    let mut bench = Bench::open(backoff());
    bench.input(Input::ClosePending).unwrap();
    assert_eq!(
        (bench.send(), bench.close(code::NORMAL)),
        (Err(SocketError::NotOpen), Err(SocketError::NotOpen))
    );
    bench.closes(code::RESTART);
    assert_eq!((bench.ended().by, bench.retry_ms()), (Side::Server, Some(500)));
}
