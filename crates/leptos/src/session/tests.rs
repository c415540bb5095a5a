//! Tests of single transitions of the session.

use super::{CommandProgress, Effect, EncodedCommand, Input, Session, TopicUpdate};
use crate::session::outbox::MAX_QUEUED;
use crate::session::transport_policy::Millis;
use crate::status::{Phase, StopReason, TopicStatus, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{
    Answer, ClientFrame, CloseReason, CommandId, Denial, Rejection, ResetReason, ServerFrame, SessionId, Verdict,
    Welcome,
};
use duplex_protocol::topic::{Delivery, TopicName};

struct Harness {
    session: Session,
    now: Millis,
}

fn topic() -> TopicName {
    "chat/lobby".parse().unwrap()
}

fn cursor(seq: Seq) -> Cursor {
    let epoch = Epoch::new(1);
    Cursor::new(epoch, seq)
}

fn id(n: u128) -> CommandId {
    CommandId::from_bits(n)
}

fn welcome(build: &str) -> ServerFrame {
    welcomed(build, 0)
}

fn welcome_at(now_ms: u64) -> ServerFrame {
    welcomed("page", now_ms)
}

fn welcomed(build: &str, now_ms: u64) -> ServerFrame {
    ServerFrame::Welcome(Welcome {
        session: SessionId("s".to_owned()),
        person: Person {
            id: PersonId("p".to_owned()),
            name: String::new(),
        },
        build: build.to_owned(),
        node: String::new(),
        keepalive_ms: 10_000,
        now_ms,
    })
}

fn reset(seq: Seq) -> ServerFrame {
    let (reason, state, topic) = (ResetReason::New, EncodedValue(Vec::new()), topic());
    let cursor = cursor(seq);
    let verdict = Verdict::Reset { reason, cursor, state };
    ServerFrame::Verdict { topic, verdict }
}

fn event(seq: Seq) -> ServerFrame {
    let (topic, event) = (topic(), EncodedValue(Vec::new()));
    let checksum = None;
    ServerFrame::Event {
        topic,
        seq,
        checksum,
        event,
    }
}

impl Harness {
    fn new() -> Self {
        let session = Session::new("page".to_owned());
        Self { session, now: 0 }
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        self.session.handle(self.now, 0.5, input)
    }

    fn later(&mut self, millis: Millis) -> Vec<Effect> {
        self.now += millis;
        self.input(Input::Timer)
    }

    fn frame(&mut self, connection: u32, frame: ServerFrame) -> Vec<Effect> {
        self.input(Input::Frame { connection, frame })
    }

    fn join(&mut self, cursor: Option<Cursor>) -> Vec<Effect> {
        let (topic, delivery) = (topic(), Delivery::Every);
        self.input(Input::Subscribe {
            topic,
            delivery,
            cursor,
        })
    }

    fn send(&mut self, n: u128) -> Vec<Effect> {
        let (topic, id, body) = (topic(), id(n), EncodedCommand::encode(&n).unwrap());
        self.input(Input::Send { topic, id, body })
    }

    fn open(&mut self, connection: u32) -> Vec<Effect> {
        let encoding = Encoding::Postcard;
        self.input(Input::Opened { connection, encoding })
    }

    fn close(&mut self, connection: u32, code: u16) -> Vec<Effect> {
        self.input(Input::Closed { connection, code })
    }

    /// Subscribed and welcomed, with a state at seq 4; connection 1 is a WebSocket.
    fn live() -> Self {
        let mut harness = Self::new();
        harness.join(None);
        harness.open(1);
        harness.frame(1, welcome("page"));
        harness.frame(1, reset(4));
        harness
    }

    /// The WebSocket, connection 1, failed; connection 2 is a live SSE stream.
    fn on_sse_fallback() -> Self {
        let mut harness = Self::new();
        harness.join(None);
        harness.close(1, code::ABNORMAL);
        harness.frame(2, welcome("page"));
        harness.frame(2, reset(4));
        harness
    }

    fn phase(&self) -> Phase {
        self.session.status().phase
    }
}

fn sent_frames(effects: &[Effect]) -> Vec<&ClientFrame> {
    fn frame(effect: &Effect) -> Option<&ClientFrame> {
        match effect {
            Effect::Send { frame, .. } => Some(frame),
            _ => None,
        }
    }
    effects.iter().filter_map(frame).collect()
}

fn opened(effects: &[Effect]) -> Vec<Transport> {
    let transport = |effect: &Effect| match effect {
        Effect::Open { transport, .. } => Some(*transport),
        _ => None,
    };
    effects.iter().filter_map(transport).collect()
}

fn statuses(effects: &[Effect]) -> Vec<TopicStatus> {
    let status = |effect: &Effect| match effect {
        Effect::Notify {
            update: TopicUpdate::Status(status),
            ..
        } => Some(*status),
        _ => None,
    };
    effects.iter().filter_map(status).collect()
}

fn outcome(n: u128, outcome: CommandProgress) -> Effect {
    let (topic, update) = (topic(), TopicUpdate::Command(id(n), outcome));
    Effect::Notify { topic, update }
}

fn subscribed(effects: &[Effect], cursor: Option<Cursor>) -> bool {
    sent_frames(effects).contains(&&ClientFrame::Subscribe { topic: topic(), cursor })
}

#[test]
fn hello_comes_first_and_subscribe_has_the_cursor_of_the_rendered_page() {
    let mut harness = Harness::new();
    let effects = harness.join(Some(cursor(9)));
    assert_eq!(opened(&effects), [Transport::WebSocket]);
    assert_eq!(
        (statuses(&effects), harness.phase()),
        (vec![TopicStatus::Resuming], Phase::Connecting)
    );
    let effects = harness.open(1);
    let frames = sent_frames(&effects);
    assert!(matches!(frames[0], ClientFrame::Hello { build, .. } if build == "page"));
    assert!(matches!(frames[1], ClientFrame::Subscribe { cursor: Some(at), .. } if *at == cursor(9)));
    assert_eq!(frames.len(), 2);
}

#[test]
fn the_connection_after_a_lost_one_resumes_from_the_last_event() {
    let mut harness = Harness::live();
    harness.frame(1, event(5));
    harness.now += 10_000;
    let effects = harness.close(1, code::ABNORMAL);
    assert_eq!(statuses(&effects), [TopicStatus::Waiting]);
    assert_eq!(harness.phase(), Phase::Waiting { until: 10_375.0 });
    assert_eq!(opened(&harness.later(374)), []);
    assert_eq!(opened(&harness.later(1)), [Transport::WebSocket]);
    assert!(subscribed(&harness.open(2), Some(cursor(5))));
    assert_eq!(
        harness.frame(1, event(6)),
        [],
        "frames of an old connection are ignored"
    );
}

#[test]
fn a_silent_connection_is_pinged_and_then_closed() {
    let mut harness = Harness::live();
    harness.now += 20;
    let nonce = 1;
    harness.frame(1, ServerFrame::Pong { nonce });
    assert_eq!(harness.session.status().round_trip, Some(20.0));
    assert!(matches!(
        *sent_frames(&harness.later(10_000)),
        [ClientFrame::Ping { nonce: 2 }]
    ));
    let effects = harness.later(10_000);
    assert!(effects.contains(&Effect::Close { connection: 1 }));
    assert!(matches!(harness.phase(), Phase::Waiting { .. }));
}

#[test]
fn final_close_codes_stop_the_session() {
    for (code, stop) in [
        (code::RELOAD, StopReason::Reload),
        (code::MALFORMED, StopReason::Reload),
        (1008, StopReason::Closed(1008)),
        (code::NORMAL, StopReason::Closed(code::NORMAL)),
    ] {
        let mut harness = Harness::live();
        harness.close(1, code);
        assert_eq!(
            (harness.phase(), harness.session.wake_at()),
            (Phase::Stopped(stop), None)
        );
        assert_eq!(opened(&harness.later(1_000_000)), []);
    }
}

#[test]
fn a_draining_server_delays_the_reconnect_by_its_retry_after() {
    let mut harness = Harness::live();
    let (reason, retry_after_ms) = (CloseReason::Draining, 7_000);
    harness.frame(1, ServerFrame::Closing { reason, retry_after_ms });
    harness.close(1, code::RESTART);
    harness.input(Input::Visible(true));
    harness.input(Input::Online(true));
    assert_eq!(harness.phase(), Phase::Waiting { until: 7_000.0 });
    assert_eq!(opened(&harness.later(7_000)), [Transport::WebSocket]);
}

#[test]
fn an_offline_session_waits_and_reconnects_at_once_when_online() {
    let mut harness = Harness::live();
    let effects = harness.input(Input::Online(false));
    assert!(
        matches!(*sent_frames(&effects), [ClientFrame::Ping { .. }]),
        "the browser may be wrong about the network"
    );
    harness.later(3_000);
    assert_eq!(harness.phase(), Phase::Offline);
    assert_eq!(opened(&harness.later(3_000)), []);
    assert_eq!(opened(&harness.input(Input::Online(true))), [Transport::WebSocket]);
}

#[test]
fn a_requested_retry_starts_an_attempt_at_once() {
    let mut harness = Harness::live();
    let wait = |harness: &Harness| match harness.phase() {
        Phase::Waiting { until } => until as Millis - harness.now,
        _ => 0,
    };
    // Fails attempts on every transport until the session waits.
    let fail = |harness: &mut Harness| {
        while wait(harness) == 0 {
            harness.close(harness.session.last_connection, code::ABNORMAL);
        }
    };
    fail(&mut harness);
    while wait(&harness) < 5_000 {
        harness.later(1_000);
        fail(&mut harness);
    }
    assert_eq!(opened(&harness.input(Input::Retry)).len(), 1);
    assert!(opened(&harness.input(Input::Retry)).is_empty(), "one at a time");
    fail(&mut harness);
    assert!(wait(&harness) <= 500, "the backoff is reset: {}", wait(&harness));
    // Also while the browser reports no network.
    harness.input(Input::Online(false));
    assert_eq!(opened(&harness.input(Input::Retry)).len(), 1);
}

#[test]
fn a_frozen_page_closes_and_a_resumed_one_reconnects() {
    let mut harness = Harness::live();
    assert!(harness.input(Input::Freeze).contains(&Effect::Close { connection: 1 }));
    assert_eq!((harness.phase(), harness.session.wake_at()), (Phase::Idle, None));
    assert_eq!(opened(&harness.input(Input::Resume)), [Transport::WebSocket]);
    assert!(subscribed(&harness.open(2), Some(cursor(4))));
}

#[test]
fn the_session_closes_after_the_idle_timeout_of_its_last_component() {
    let mut harness = Harness::live();
    assert_eq!(
        sent_frames(&harness.join(None)).len(),
        0,
        "the topic is already subscribed"
    );
    let leave = || Input::Unsubscribe { topic: topic() };
    assert_eq!(harness.input(leave()), []);
    assert!(matches!(
        *sent_frames(&harness.input(leave())),
        [ClientFrame::Unsubscribe { .. }]
    ));
    assert_eq!(harness.phase(), Phase::Live);
    assert!(harness.later(2_000).contains(&Effect::Close { connection: 1 }));
    assert_eq!((harness.phase(), harness.session.wake_at()), (Phase::Idle, None));
}

#[test]
fn an_unanswered_command_is_resent_with_its_id() {
    let mut harness = Harness::live();
    let effects = harness.send(7);
    assert!(effects.contains(&outcome(7, CommandProgress::Sent)));
    harness.close(1, code::ABNORMAL);
    harness.later(1_000);
    harness.open(2);
    let effects = harness.frame(2, welcome("page"));
    let again = |frame: &&&ClientFrame| matches!(frame, ClientFrame::Command { id: sent, .. } if *sent == id(7));
    assert_eq!(sent_frames(&effects).iter().filter(again).count(), 1);
    let (answer, duplicate) = (Answer::Accepted { seq: 5 }, true);
    let id = id(7);
    assert_eq!(
        harness.frame(2, ServerFrame::Reply { id, answer, duplicate }),
        [],
        "its event has not arrived yet"
    );
    let resumed = Verdict::Resumed {
        replayed: 1,
        head: cursor(5),
    };
    harness.frame(
        2,
        ServerFrame::Verdict {
            topic: topic(),
            verdict: resumed,
        },
    );
    assert!(harness.frame(2, event(5)).contains(&outcome(7, CommandProgress::Done)));
    assert_eq!(harness.session.status().queued, 0);
}

#[test]
fn a_full_queue_rejects_and_an_unsent_command_can_be_cancelled() {
    let mut harness = Harness::new();
    harness.join(None);
    for n in 0..MAX_QUEUED {
        harness.send(n as u128);
    }
    let retry_after_ms = 1_000;
    let full = Rejection::TooFast { retry_after_ms };
    assert!(
        harness
            .send(1000)
            .contains(&outcome(1000, CommandProgress::Rejected(full)))
    );
    assert!(
        harness
            .input(Input::Cancel { id: id(3) })
            .contains(&outcome(3, CommandProgress::Done))
    );
    assert_eq!(harness.session.status().queued, MAX_QUEUED - 1);
}

#[test]
fn a_gap_is_requested_again_and_too_many_close_the_connection() {
    let mut harness = Harness::live();
    assert!(subscribed(&harness.frame(1, event(6)), Some(cursor(4))));
    for _ in 0..7 {
        let (topic, head) = (topic(), cursor(6));
        let verdict = Verdict::Resumed { replayed: 2, head };
        harness.frame(1, ServerFrame::Verdict { topic, verdict });
        harness.frame(1, event(6));
    }
    assert!(matches!(harness.phase(), Phase::Waiting { .. }));
}

#[test]
fn a_rejected_websocket_falls_back_to_a_stream_with_topics_in_its_address() {
    let mut harness = Harness::new();
    harness.join(Some(cursor(2)));
    let effects = harness.close(1, code::ABNORMAL);
    assert!(effects.contains(&Effect::Open {
        connection: 2,
        transport: Transport::Sse,
        topics: vec![(topic(), Some(cursor(2)))],
    }));
    assert_eq!(opened(&harness.later(5_000)), [Transport::Poll], "buffered by a proxy");
    harness.input(Input::PollAnswered {
        connection: 3,
        frames: 0,
    });
    assert_eq!(harness.phase(), Phase::Live, "an empty response counts as an answer");
}

#[test]
fn several_subscription_changes_make_one_request() {
    let mut harness = Harness::on_sse_fallback();
    for name in ["chat/a", "chat/b"] {
        let (topic, delivery, cursor) = (name.parse().unwrap(), Delivery::Every, None);
        assert_eq!(
            harness
                .input(Input::Subscribe {
                    topic,
                    delivery,
                    cursor
                })
                .len(),
            1,
            "its status"
        );
    }
    let effects = harness.later(20);
    let [
        Effect::Request {
            connection: 2, topics, ..
        },
    ] = &*effects
    else {
        panic!("{effects:?}")
    };
    assert_eq!(topics.len(), 3);
}

#[test]
fn a_stream_is_replaced_by_a_websocket_that_works_again() {
    let mut harness = Harness::on_sse_fallback();
    for _ in 0..5 {
        harness.later(10_000);
        harness.frame(2, ServerFrame::Pong { nonce: 0 });
    }
    let effects = harness.later(10_000);
    assert_eq!(opened(&effects), [Transport::WebSocket]);
    assert_eq!(
        harness.session.status().transport,
        Some(Transport::Sse),
        "the working stream stays"
    );
    harness.open(3);
    let effects = harness.frame(3, welcome("page"));
    assert!(effects.contains(&Effect::Close { connection: 2 }));
    assert!(subscribed(&effects, Some(cursor(4))));
    assert_eq!(harness.session.status().transport, Some(Transport::WebSocket));
}

#[test]
fn a_failed_probe_changes_nothing() {
    let mut harness = Harness::on_sse_fallback();
    for _ in 0..6 {
        harness.later(10_000);
        harness.frame(2, ServerFrame::Pong { nonce: 0 });
    }
    assert!(harness.later(4_000).contains(&Effect::Close { connection: 3 }));
    assert_eq!(
        (harness.phase(), harness.session.status().transport),
        (Phase::Live, Some(Transport::Sse))
    );
}

#[test]
fn posts_are_sequential_and_repeated_without_an_answer() {
    let mut harness = Harness::on_sse_fallback();
    assert_eq!(sent_frames(&harness.send(1)).len(), 1);
    assert_eq!(sent_frames(&harness.send(2)).len(), 0);
    let on_send_failed = |id, status| Input::SendFailed {
        connection: 2,
        id,
        status,
    };
    assert_eq!(sent_frames(&harness.input(on_send_failed(id(1), None))).len(), 0);
    assert_eq!(sent_frames(&harness.later(1_000)).len(), 1);
    let effects = harness.input(on_send_failed(id(1), Some(413)));
    assert!(effects.contains(&outcome(1, CommandProgress::Rejected(Rejection::TooLarge))));
    assert_eq!(sent_frames(&effects).len(), 1, "the next one is sent");
}

#[test]
fn a_temporary_rejection_is_not_final_after_an_unanswered_attempt() {
    let rejected_reply = |n| ServerFrame::Reply {
        id: id(n),
        answer: Answer::Rejected(Rejection::Unavailable),
        duplicate: false,
    };
    let rejected = |n| outcome(n, CommandProgress::Rejected(Rejection::Unavailable));
    let mut harness = Harness::live();
    harness.send(1);
    assert!(
        harness.frame(1, rejected_reply(1)).contains(&rejected(1)),
        "the only attempt had no effect"
    );
    harness.send(2);
    harness.close(1, code::ABNORMAL);
    harness.later(10_000);
    harness.open(2);
    harness.frame(2, welcome("page"));
    let effects = harness.frame(2, rejected_reply(2));
    assert!(
        !effects.contains(&rejected(2)),
        "the first attempt may have been accepted"
    );
    assert!(matches!(
        *sent_frames(&harness.later(1_000)),
        [ClientFrame::Command { .. }]
    ));
    let (id, answer, duplicate) = (id(2), Answer::Accepted { seq: 4 }, true);
    let effects = harness.frame(2, ServerFrame::Reply { id, answer, duplicate });
    assert!(effects.contains(&outcome(2, CommandProgress::Done)));
}

#[test]
fn a_newer_build_is_reported_and_an_undecodable_topic_is_outdated() {
    let mut harness = Harness::live();
    assert!(!harness.session.status().newer_build);
    harness.frame(1, welcome("newer"));
    assert!(harness.session.status().newer_build);
    let effects = harness.input(Input::Undecodable { topic: topic() });
    assert_eq!(statuses(&effects), [TopicStatus::Outdated]);
    harness.input(Input::Malformed { connection: 1 });
    assert_eq!(harness.phase(), Phase::Stopped(StopReason::Reload));
}

#[test]
fn an_outdated_topic_is_not_requested_again_after_a_denial() {
    let mut harness = Harness::live();
    harness.input(Input::Undecodable { topic: topic() });
    let (topic, reason) = (topic(), Denial::Unavailable);
    let verdict = Verdict::Denied { reason };
    harness.frame(1, ServerFrame::Verdict { topic, verdict });
    harness.frame(1, ServerFrame::Pong { nonce: 1 });
    harness.later(9_999);
    assert!(
        harness.session.wake_at().is_some_and(|at| at > harness.now),
        "a timer that fires forever"
    );
}

#[test]
fn a_hidden_tab_waits_longer() {
    let mut harness = Harness::live();
    harness.input(Input::Visible(false));
    harness.close(1, code::ABNORMAL);
    assert_eq!(harness.phase(), Phase::Waiting { until: 3_750.0 });
    assert_eq!(opened(&harness.input(Input::Visible(true))), [Transport::WebSocket]);
}

fn too_fast(n: u128, retry_after_ms: u32) -> ServerFrame {
    ServerFrame::Reply {
        id: id(n),
        answer: Answer::Rejected(Rejection::TooFast { retry_after_ms }),
        duplicate: false,
    }
}

/// Commands queued during an outage exceed the server's rate limit; all arrive, in order.
#[test]
fn rate_limited_commands_are_delayed_by_retry_after_and_none_is_lost() {
    let mut harness = Harness::on_sse_fallback();
    harness.send(1);
    for n in 2..=9 {
        assert_eq!(sent_frames(&harness.send(n)).len(), 0);
    }
    for n in 1..=9 {
        let held = outcome(n, CommandProgress::RateLimited { retry_after_ms: 4_000 });
        assert_eq!(harness.frame(2, too_fast(n, 4_000)), [held], "no other post");
        assert_eq!(sent_frames(&harness.later(3_999)).len(), 0, "not before");
        let effects = harness.later(1);
        let [ClientFrame::Command { id: again, .. }] = sent_frames(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(*again, id(n));
        let (answer, duplicate) = (Answer::Accepted { seq: 4 }, false);
        harness.frame(
            2,
            ServerFrame::Reply {
                id: id(n),
                answer,
                duplicate,
            },
        );
    }
    assert_eq!(harness.session.status().queued, 0);
}

/// A rate-limited command is resent automatically however long the delay, and can be cancelled meanwhile.
#[test]
fn a_long_delay_ends_by_itself_or_by_cancelling() {
    let mut harness = Harness::live();
    harness.send(1);
    harness.send(2);
    let retry_after_ms = 300_000;
    for n in [1, 2] {
        let effects = harness.frame(1, too_fast(n, retry_after_ms));
        assert_eq!(effects, [outcome(n, CommandProgress::RateLimited { retry_after_ms })]);
    }
    assert!(
        harness
            .input(Input::Cancel { id: id(1) })
            .contains(&outcome(1, CommandProgress::Done))
    );
    for _ in 0..6 {
        harness.later(9_000);
        harness.frame(1, ServerFrame::Pong { nonce: 0 });
    }
    let effects = harness.later(6_000);
    let again: Vec<_> = sent_frames(&effects)
        .into_iter()
        .filter(|frame| matches!(frame, ClientFrame::Command { .. }))
        .collect();
    assert!(
        matches!(again[..], [ClientFrame::Command { id: again, .. }] if *again == id(2)),
        "{effects:?}"
    );
    assert!(effects.contains(&outcome(2, CommandProgress::Sent)));
}

/// The room's limit is ten messages in ten seconds; 135 were queued while offline.
#[test]
fn a_long_queue_is_sent_in_order_within_the_rate_limit() {
    const WRITTEN: u128 = 135;
    let mut harness = Harness::live();
    harness.close(1, code::ABNORMAL);
    for n in 0..WRITTEN {
        assert!(harness.send(n).is_empty(), "it is queued");
    }
    harness.later(10_000);
    harness.open(2);
    let mut effects = harness.frame(2, welcome("page"));
    let (mut accepted, mut times) = (Vec::new(), Vec::<Millis>::new());
    while harness.session.status().queued > 0 {
        let rejected = |effect: &Effect| {
            matches!(
                effect,
                Effect::Notify {
                    update: TopicUpdate::Command(_, CommandProgress::Rejected(_)),
                    ..
                }
            )
        };
        assert!(!effects.iter().any(rejected), "no command is rejected");
        let frames = std::mem::take(&mut effects);
        for frame in sent_frames(&frames) {
            effects.extend(match frame {
                ClientFrame::Command { id, .. } => {
                    let earliest = times.iter().rev().nth(9).map_or(0, |at| at + 10_000);
                    let answer = if harness.now < earliest {
                        let retry_after_ms = (earliest - harness.now) as u32;
                        Answer::Rejected(Rejection::TooFast { retry_after_ms })
                    } else {
                        times.push(harness.now);
                        accepted.push(id.clone());
                        Answer::Accepted { seq: 4 }
                    };
                    let (id, duplicate) = (id.clone(), false);
                    harness.frame(2, ServerFrame::Reply { id, answer, duplicate })
                }
                ClientFrame::Ping { nonce } => harness.frame(2, ServerFrame::Pong { nonce: *nonce }),
                _ => Vec::new(),
            });
        }
        effects.extend(harness.later(100));
        assert!(harness.now < 200_000, "it takes no longer than the rate limit requires");
    }
    assert_eq!(accepted, (0..WRITTEN).map(id).collect::<Vec<_>>());
}

#[test]
fn a_rate_limited_topic_does_not_delay_another() {
    let mut harness = Harness::live();
    harness.send(1);
    harness.frame(1, too_fast(1, 4_000));
    assert_eq!(sent_frames(&harness.send(2)), Vec::<&ClientFrame>::new());
    let (topic, body) = ("chat/other".parse().unwrap(), EncodedCommand::encode(&3).unwrap());
    let effects = harness.input(Input::Send { topic, id: id(3), body });
    assert!(matches!(sent_frames(&effects)[..], [ClientFrame::Command { id: sent, .. }] if *sent == id(3)));
}

fn sent_as(effects: &[Effect]) -> CommandId {
    match sent_frames(effects)[..] {
        [ClientFrame::Command { id, .. }] => id.clone(),
        ref other => panic!("{other:?}"),
    }
}

fn rejection_frame(id: &CommandId, why: Rejection) -> ServerFrame {
    let (id, answer, duplicate) = (id.clone(), Answer::Rejected(why), false);
    ServerFrame::Reply { id, answer, duplicate }
}

fn send_as(harness: &mut Harness, id: &CommandId) -> Vec<Effect> {
    let (topic, id, body) = (topic(), id.clone(), EncodedCommand::encode(&0).unwrap());
    harness.input(Input::Send { topic, id, body })
}

/// A command typed before the machine slept over the weekend gets the server's time at its first attempt.
#[test]
fn an_id_carries_the_servers_time_of_its_first_attempt() {
    let mut harness = Harness::new();
    harness.join(None);
    let friday = CommandId::from_time(1_000, 7);
    send_as(&mut harness, &friday);
    harness.open(1);
    let effects = harness.frame(1, welcome_at(1_800_000_000_000));
    let commands = sent_frames(&effects).into_iter().filter_map(|frame| match frame {
        ClientFrame::Command { id, .. } => Some(id.clone()),
        _ => None,
    });
    assert_eq!(
        commands.collect::<Vec<_>>(),
        [CommandId::from_time(1_800_000_000_000, 7)]
    );
    let (answer, duplicate) = (Answer::Rejected(Rejection::custom("no")), false);
    let id = CommandId::from_time(1_800_000_000_000, 7);
    let effects = harness.frame(1, ServerFrame::Reply { id, answer, duplicate });
    let update = TopicUpdate::Command(friday, CommandProgress::Rejected(Rejection::custom("no")));
    assert!(
        effects.contains(&Effect::Notify { topic: topic(), update }),
        "the page knows the command by its own id"
    );
}

#[test]
fn a_command_with_a_rejected_time_gets_a_new_id_if_it_had_no_effect() {
    let mut harness = Harness::live();
    let mine = CommandId::from_time(1_000, 7);
    let first = sent_as(&send_as(&mut harness, &mine));
    let (no_effect, now_ms) = (false, 1_900_000_000_000);
    // This was the only attempt.
    let effects = harness.frame(1, rejection_frame(&first, Rejection::IdTooOld { no_effect, now_ms }));
    let second = sent_as(&effects);
    assert_eq!(second, CommandId::from_time(now_ms, 7));
    let now_ms = 1_700_000_000_000;
    let third = sent_as(&harness.frame(1, rejection_frame(&second, Rejection::IdTooNew { now_ms })));
    assert_eq!(third, CommandId::from_time(now_ms, 7));
    // After a resend without an answer only the topic knows whether it had its effect.
    harness.close(1, code::ABNORMAL);
    harness.later(10_000);
    harness.open(2);
    harness.frame(2, welcome("page"));
    let known = Rejection::IdTooOld {
        no_effect: true,
        now_ms: now_ms + 9,
    };
    let fourth = sent_as(&harness.frame(2, rejection_frame(&third, known)));
    assert_eq!(fourth, CommandId::from_time(now_ms + 9, 7));
    harness.close(2, code::ABNORMAL);
    harness.later(10_000);
    harness.open(3);
    harness.frame(3, welcome("page"));
    let unknown = Rejection::IdTooOld { no_effect, now_ms };
    let effects = harness.frame(3, rejection_frame(&fourth, unknown.clone()));
    let update = TopicUpdate::Command(mine, CommandProgress::Rejected(unknown));
    assert!(
        effects.contains(&Effect::Notify { topic: topic(), update }),
        "the visitor has to check"
    );
    assert_eq!((sent_frames(&effects).len(), harness.session.status().queued), (0, 0));
}

/// A poll that is rejected with a delay causes no fallback, which would be rejected as well.
#[test]
fn a_requested_delay_applies_before_the_connection_was_live() {
    let mut harness = Harness::new();
    harness.join(None);
    harness.close(1, code::ABNORMAL);
    let (reason, retry_after_ms) = (CloseReason::TooFast, 9_000);
    harness.frame(2, ServerFrame::Closing { reason, retry_after_ms });
    assert!(opened(&harness.close(2, code::TOO_FAST)).is_empty());
    assert!(opened(&harness.later(8_999)).is_empty());
    assert_eq!(opened(&harness.later(1)).len(), 1);
}
