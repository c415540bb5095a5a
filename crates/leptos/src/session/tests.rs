//! The session's transitions, one by one.

use super::{Body, CommandOutcome, Effect, Input, Session, TopicUpdate};
use crate::session::outbox::MAX_QUEUED;
use crate::session::transport_policy::Millis;
use crate::status::{Phase, StopReason, TopicStatus, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{
    Answer, ClientFrame, Closing, CommandId, Denied, Rejection, ResetReason, ServerFrame, SessionId, Verdict, Welcome,
};
use duplex_protocol::topic::{Delivery, TopicName};

struct Bench {
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
        beat_ms: 10_000,
        now_ms,
    })
}

fn reset(seq: Seq) -> ServerFrame {
    let (reason, state, topic) = (ResetReason::New, Blob(Vec::new()), topic());
    let cursor = cursor(seq);
    let verdict = Verdict::Reset { reason, cursor, state };
    ServerFrame::Verdict { topic, verdict }
}

fn event(seq: Seq) -> ServerFrame {
    let (topic, event) = (topic(), Blob(Vec::new()));
    let check = None;
    ServerFrame::Event {
        topic,
        seq,
        check,
        event,
    }
}

impl Bench {
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
        let (topic, id, body) = (topic(), id(n), Body::of(&n).unwrap());
        self.input(Input::Send { topic, id, body })
    }

    fn open(&mut self, connection: u32) -> Vec<Effect> {
        let encoding = Encoding::Postcard;
        self.input(Input::Opened { connection, encoding })
    }

    fn close(&mut self, connection: u32, code: u16) -> Vec<Effect> {
        self.input(Input::Closed { connection, code })
    }

    /// Joined, welcomed, with a state at seq 4; connection 1 is a WebSocket.
    fn live() -> Self {
        let mut bench = Self::new();
        bench.join(None);
        bench.open(1);
        bench.frame(1, welcome("page"));
        bench.frame(1, reset(4));
        bench
    }

    /// Connection 1 was no WebSocket; connection 2 is a stream, and live.
    fn fallen_back() -> Self {
        let mut bench = Self::new();
        bench.join(None);
        bench.close(1, code::ABNORMAL);
        bench.frame(2, welcome("page"));
        bench.frame(2, reset(4));
        bench
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

fn outcome(n: u128, outcome: CommandOutcome) -> Effect {
    let (topic, update) = (topic(), TopicUpdate::Command(id(n), outcome));
    Effect::Notify { topic, update }
}

fn subscribed(effects: &[Effect], cursor: Option<Cursor>) -> bool {
    sent_frames(effects).contains(&&ClientFrame::Subscribe { topic: topic(), cursor })
}

#[test]
fn it_greets_first_and_asks_with_the_cursor_that_the_page_came_with() {
    let mut bench = Bench::new();
    let effects = bench.join(Some(cursor(9)));
    assert_eq!(opened(&effects), [Transport::WebSocket]);
    assert_eq!(
        (statuses(&effects), bench.phase()),
        (vec![TopicStatus::Resuming], Phase::Connecting)
    );
    let effects = bench.open(1);
    let frames = sent_frames(&effects);
    assert!(matches!(frames[0], ClientFrame::Hello { build, .. } if build == "page"));
    assert!(matches!(frames[1], ClientFrame::Subscribe { cursor: Some(at), .. } if *at == cursor(9)));
    assert_eq!(frames.len(), 2);
}

#[test]
fn a_lost_connection_is_followed_by_one_that_resumes_from_the_last_event() {
    let mut bench = Bench::live();
    bench.frame(1, event(5));
    bench.now += 10_000;
    let effects = bench.close(1, code::ABNORMAL);
    assert_eq!(statuses(&effects), [TopicStatus::Waiting]);
    assert_eq!(bench.phase(), Phase::Waiting { until: 10_375.0 });
    assert_eq!(opened(&bench.later(374)), []);
    assert_eq!(opened(&bench.later(1)), [Transport::WebSocket]);
    assert!(subscribed(&bench.open(2), Some(cursor(5))));
    assert_eq!(bench.frame(1, event(6)), [], "of an old connection nothing is heard");
}

#[test]
fn a_silent_connection_is_pinged_and_then_left() {
    let mut bench = Bench::live();
    bench.now += 20;
    let nonce = 1;
    bench.frame(1, ServerFrame::Pong { nonce });
    assert_eq!(bench.session.status().round_trip, Some(20.0));
    assert!(matches!(
        *sent_frames(&bench.later(10_000)),
        [ClientFrame::Ping { nonce: 2 }]
    ));
    let effects = bench.later(10_000);
    assert!(effects.contains(&Effect::Close { connection: 1 }));
    assert!(matches!(bench.phase(), Phase::Waiting { .. }));
}

#[test]
fn what_must_not_return_does_not() {
    for (code, stop) in [
        (code::RELOAD, StopReason::Reload),
        (code::MALFORMED, StopReason::Reload),
        (1008, StopReason::Closed(1008)),
        (code::NORMAL, StopReason::Closed(code::NORMAL)),
    ] {
        let mut bench = Bench::live();
        bench.close(1, code);
        assert_eq!((bench.phase(), bench.session.wake_at()), (Phase::Stopped(stop), None));
        assert_eq!(opened(&bench.later(1_000_000)), []);
    }
}

#[test]
fn a_draining_server_is_left_alone_for_as_long_as_it_says() {
    let mut bench = Bench::live();
    let (reason, retry_after_ms) = (Closing::Draining, 7_000);
    bench.frame(1, ServerFrame::Closing { reason, retry_after_ms });
    bench.close(1, code::RESTART);
    bench.input(Input::Visible(true));
    bench.input(Input::Online(true));
    assert_eq!(bench.phase(), Phase::Waiting { until: 7_000.0 });
    assert_eq!(opened(&bench.later(7_000)), [Transport::WebSocket]);
}

#[test]
fn without_a_network_it_waits_and_with_one_it_comes_at_once() {
    let mut bench = Bench::live();
    let effects = bench.input(Input::Online(false));
    assert!(
        matches!(*sent_frames(&effects), [ClientFrame::Ping { .. }]),
        "perhaps it is only said"
    );
    bench.later(3_000);
    assert_eq!(bench.phase(), Phase::Offline);
    assert_eq!(opened(&bench.later(3_000)), []);
    assert_eq!(opened(&bench.input(Input::Online(true))), [Transport::WebSocket]);
}

#[test]
fn a_visitor_who_does_not_want_to_wait_gets_an_attempt_at_once() {
    let mut bench = Bench::live();
    let wait = |bench: &Bench| match bench.phase() {
        Phase::Waiting { until } => until as Millis - bench.now,
        _ => 0,
    };
    // Each attempt fails, by whatever transport, until the wait for the next one has grown.
    let fail = |bench: &mut Bench| {
        while wait(bench) == 0 {
            bench.close(bench.session.last_connection, code::ABNORMAL);
        }
    };
    fail(&mut bench);
    while wait(&bench) < 5_000 {
        bench.later(1_000);
        fail(&mut bench);
    }
    assert_eq!(opened(&bench.input(Input::Retry)).len(), 1);
    assert!(opened(&bench.input(Input::Retry)).is_empty(), "one at a time");
    fail(&mut bench);
    assert!(wait(&bench) <= 500, "the backoff begins anew: {}", wait(&bench));
    // Without a network, says the browser; and after a server that said when.
    bench.input(Input::Online(false));
    assert_eq!(opened(&bench.input(Input::Retry)).len(), 1);
}

#[test]
fn a_page_that_is_put_away_closes_and_comes_back() {
    let mut bench = Bench::live();
    assert!(bench.input(Input::Freeze).contains(&Effect::Close { connection: 1 }));
    assert_eq!((bench.phase(), bench.session.wake_at()), (Phase::Idle, None));
    assert_eq!(opened(&bench.input(Input::Resume)), [Transport::WebSocket]);
    assert!(subscribed(&bench.open(2), Some(cursor(4))));
}

#[test]
fn the_last_component_to_leave_closes_the_session_a_moment_later() {
    let mut bench = Bench::live();
    assert_eq!(sent_frames(&bench.join(None)).len(), 0, "the topic is there already");
    let leave = || Input::Unsubscribe { topic: topic() };
    assert_eq!(bench.input(leave()), []);
    assert!(matches!(
        *sent_frames(&bench.input(leave())),
        [ClientFrame::Unsubscribe { .. }]
    ));
    assert_eq!(bench.phase(), Phase::Live);
    assert!(bench.later(2_000).contains(&Effect::Close { connection: 1 }));
    assert_eq!((bench.phase(), bench.session.wake_at()), (Phase::Idle, None));
}

#[test]
fn an_unanswered_command_goes_again_with_its_id() {
    let mut bench = Bench::live();
    let effects = bench.send(7);
    assert!(effects.contains(&outcome(7, CommandOutcome::Sent)));
    bench.close(1, code::ABNORMAL);
    bench.later(1_000);
    bench.open(2);
    let effects = bench.frame(2, welcome("page"));
    let again = |frame: &&&ClientFrame| matches!(frame, ClientFrame::Command { id: sent, .. } if *sent == id(7));
    assert_eq!(sent_frames(&effects).iter().filter(again).count(), 1);
    let (answer, again) = (Answer::Accepted { seq: 5 }, true);
    let id = id(7);
    assert_eq!(
        bench.frame(
            2,
            ServerFrame::Reply {
                id,
                answer,
                duplicate: again
            }
        ),
        [],
        "its event is still to come"
    );
    let resumed = Verdict::Resumed {
        replayed: 1,
        head: cursor(5),
    };
    bench.frame(
        2,
        ServerFrame::Verdict {
            topic: topic(),
            verdict: resumed,
        },
    );
    assert!(bench.frame(2, event(5)).contains(&outcome(7, CommandOutcome::Settled)));
    assert_eq!(bench.session.status().queued, 0);
}

#[test]
fn a_full_queue_says_so_and_what_was_not_sent_can_be_taken_back() {
    let mut bench = Bench::new();
    bench.join(None);
    for n in 0..MAX_QUEUED {
        bench.send(n as u128);
    }
    let retry_after_ms = 1_000;
    let full = Rejection::TooFast { retry_after_ms };
    assert!(
        bench
            .send(1000)
            .contains(&outcome(1000, CommandOutcome::Rejected(full)))
    );
    assert!(
        bench
            .input(Input::Cancel { id: id(3) })
            .contains(&outcome(3, CommandOutcome::Settled))
    );
    assert_eq!(bench.session.status().queued, MAX_QUEUED - 1);
}

#[test]
fn a_hole_is_asked_for_and_a_server_that_makes_many_is_left() {
    let mut bench = Bench::live();
    assert!(subscribed(&bench.frame(1, event(6)), Some(cursor(4))));
    for _ in 0..7 {
        let (topic, head) = (topic(), cursor(6));
        let verdict = Verdict::Resumed { replayed: 2, head };
        bench.frame(1, ServerFrame::Verdict { topic, verdict });
        bench.frame(1, event(6));
    }
    assert!(matches!(bench.phase(), Phase::Waiting { .. }));
}

#[test]
fn a_refused_websocket_gives_way_to_a_stream_which_asks_by_its_address() {
    let mut bench = Bench::new();
    bench.join(Some(cursor(2)));
    let effects = bench.close(1, code::ABNORMAL);
    assert!(effects.contains(&Effect::Open {
        connection: 2,
        transport: Transport::Sse,
        topics: vec![(topic(), Some(cursor(2)))],
    }));
    assert_eq!(opened(&bench.later(5_000)), [Transport::Poll], "held back by a proxy");
    bench.input(Input::PollAnswered {
        connection: 3,
        frames: 0,
    });
    assert_eq!(bench.phase(), Phase::Live, "nothing new is an answer too");
}

#[test]
fn a_change_of_topics_makes_one_new_question() {
    let mut bench = Bench::fallen_back();
    for name in ["chat/a", "chat/b"] {
        let (topic, delivery, cursor) = (name.parse().unwrap(), Delivery::Every, None);
        assert_eq!(
            bench
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
    let effects = bench.later(20);
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
fn a_stream_gives_way_to_a_websocket_that_works_again() {
    let mut bench = Bench::fallen_back();
    for _ in 0..5 {
        bench.later(10_000);
        bench.frame(2, ServerFrame::Pong { nonce: 0 });
    }
    let effects = bench.later(10_000);
    assert_eq!(opened(&effects), [Transport::WebSocket]);
    assert_eq!(
        bench.session.status().transport,
        Some(Transport::Sse),
        "what works is not disturbed"
    );
    bench.open(3);
    let effects = bench.frame(3, welcome("page"));
    assert!(effects.contains(&Effect::Close { connection: 2 }));
    assert!(subscribed(&effects, Some(cursor(4))));
    assert_eq!(bench.session.status().transport, Some(Transport::WebSocket));
}

#[test]
fn a_failed_trial_leaves_everything_as_it_is() {
    let mut bench = Bench::fallen_back();
    for _ in 0..6 {
        bench.later(10_000);
        bench.frame(2, ServerFrame::Pong { nonce: 0 });
    }
    assert!(bench.later(4_000).contains(&Effect::Close { connection: 3 }));
    assert_eq!(
        (bench.phase(), bench.session.status().transport),
        (Phase::Live, Some(Transport::Sse))
    );
}

#[test]
fn posts_go_one_by_one_and_again_if_nobody_answered() {
    let mut bench = Bench::fallen_back();
    assert_eq!(sent_frames(&bench.send(1)).len(), 1);
    assert_eq!(sent_frames(&bench.send(2)).len(), 0);
    let on_send_failed = |id, status| Input::SendFailed {
        connection: 2,
        id,
        status,
    };
    assert_eq!(sent_frames(&bench.input(on_send_failed(id(1), None))).len(), 0);
    assert_eq!(sent_frames(&bench.later(1_000)).len(), 1);
    let effects = bench.input(on_send_failed(id(1), Some(413)));
    assert!(effects.contains(&outcome(1, CommandOutcome::Rejected(Rejection::TooLarge))));
    assert_eq!(sent_frames(&effects).len(), 1, "the next one goes");
}

#[test]
fn a_refusal_that_may_pass_says_nothing_of_an_attempt_before() {
    let refused = |n| ServerFrame::Reply {
        id: id(n),
        answer: Answer::Rejected(Rejection::Unavailable),
        duplicate: false,
    };
    let gone = |n| outcome(n, CommandOutcome::Rejected(Rejection::Unavailable));
    let mut bench = Bench::live();
    bench.send(1);
    assert!(
        bench.frame(1, refused(1)).contains(&gone(1)),
        "the only attempt had no effect"
    );
    bench.send(2);
    bench.close(1, code::ABNORMAL);
    bench.later(10_000);
    bench.open(2);
    bench.frame(2, welcome("page"));
    let effects = bench.frame(2, refused(2));
    assert!(!effects.contains(&gone(2)), "the first attempt may have been taken");
    assert!(matches!(
        *sent_frames(&bench.later(1_000)),
        [ClientFrame::Command { .. }]
    ));
    let (id, answer, again) = (id(2), Answer::Accepted { seq: 4 }, true);
    let effects = bench.frame(
        2,
        ServerFrame::Reply {
            id,
            answer,
            duplicate: again,
        },
    );
    assert!(effects.contains(&outcome(2, CommandOutcome::Settled)));
}

#[test]
fn another_build_is_noticed_and_what_cannot_be_read_is_outdated() {
    let mut bench = Bench::live();
    assert!(!bench.session.status().newer_build);
    bench.frame(1, welcome("newer"));
    assert!(bench.session.status().newer_build);
    let effects = bench.input(Input::Outdated { topic: topic() });
    assert_eq!(statuses(&effects), [TopicStatus::Outdated]);
    bench.input(Input::Unreadable { connection: 1 });
    assert_eq!(bench.phase(), Phase::Stopped(StopReason::Reload));
}

#[test]
fn what_is_outdated_is_not_asked_again_when_it_is_denied() {
    let mut bench = Bench::live();
    bench.input(Input::Outdated { topic: topic() });
    let (topic, reason) = (topic(), Denied::Unavailable);
    let verdict = Verdict::Denied { reason };
    bench.frame(1, ServerFrame::Verdict { topic, verdict });
    bench.frame(1, ServerFrame::Pong { nonce: 1 });
    bench.later(9_999);
    assert!(
        bench.session.wake_at().is_some_and(|at| at > bench.now),
        "a timer that never lets go"
    );
}

#[test]
fn a_hidden_tab_is_in_no_hurry() {
    let mut bench = Bench::live();
    bench.input(Input::Visible(false));
    bench.close(1, code::ABNORMAL);
    assert_eq!(bench.phase(), Phase::Waiting { until: 3_750.0 });
    assert_eq!(opened(&bench.input(Input::Visible(true))), [Transport::WebSocket]);
}

fn too_fast(n: u128, retry_after_ms: u32) -> ServerFrame {
    ServerFrame::Reply {
        id: id(n),
        answer: Answer::Rejected(Rejection::TooFast { retry_after_ms }),
        duplicate: false,
    }
}

/// What was written during an outage comes faster than the server takes it: all of it arrives, in order.
#[test]
fn what_comes_too_fast_is_held_back_as_long_as_the_server_says_and_nothing_is_lost() {
    let mut bench = Bench::fallen_back();
    bench.send(1);
    for n in 2..=9 {
        assert_eq!(sent_frames(&bench.send(n)).len(), 0);
    }
    for n in 1..=9 {
        let held = outcome(n, CommandOutcome::Held { retry_after_ms: 4_000 });
        assert_eq!(bench.frame(2, too_fast(n, 4_000)), [held], "no other post");
        assert_eq!(sent_frames(&bench.later(3_999)).len(), 0, "not before");
        let effects = bench.later(1);
        let [ClientFrame::Command { id: again, .. }] = sent_frames(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(*again, id(n));
        let (answer, again) = (Answer::Accepted { seq: 4 }, false);
        bench.frame(
            2,
            ServerFrame::Reply {
                id: id(n),
                answer,
                duplicate: again,
            },
        );
    }
    assert_eq!(bench.session.status().queued, 0);
}

/// However long the wait is, nobody has to press anything; and what had no effect can be taken back meanwhile.
#[test]
fn what_is_held_for_long_goes_by_itself_or_is_taken_back() {
    let mut bench = Bench::live();
    bench.send(1);
    bench.send(2);
    let retry_after_ms = 300_000;
    for n in [1, 2] {
        let effects = bench.frame(1, too_fast(n, retry_after_ms));
        assert_eq!(effects, [outcome(n, CommandOutcome::Held { retry_after_ms })]);
    }
    assert!(
        bench
            .input(Input::Cancel { id: id(1) })
            .contains(&outcome(1, CommandOutcome::Settled))
    );
    for _ in 0..6 {
        bench.later(9_000);
        bench.frame(1, ServerFrame::Pong { nonce: 0 });
    }
    let effects = bench.later(6_000);
    let again: Vec<_> = sent_frames(&effects)
        .into_iter()
        .filter(|frame| matches!(frame, ClientFrame::Command { .. }))
        .collect();
    assert!(
        matches!(again[..], [ClientFrame::Command { id: again, .. }] if *again == id(2)),
        "{effects:?}"
    );
    assert!(effects.contains(&outcome(2, CommandOutcome::Sent)));
}

/// A room takes ten messages in ten seconds; 135 were written while the network was away.
#[test]
fn a_long_queue_meets_the_rooms_rate_and_arrives_in_order_by_itself() {
    const WRITTEN: u128 = 135;
    let mut bench = Bench::live();
    bench.close(1, code::ABNORMAL);
    for n in 0..WRITTEN {
        assert!(bench.send(n).is_empty(), "it waits");
    }
    bench.later(10_000);
    bench.open(2);
    let mut effects = bench.frame(2, welcome("page"));
    let (mut taken, mut times) = (Vec::new(), Vec::<Millis>::new());
    while bench.session.status().queued > 0 {
        let rejected = |effect: &Effect| {
            matches!(
                effect,
                Effect::Notify {
                    update: TopicUpdate::Command(_, CommandOutcome::Rejected(_)),
                    ..
                }
            )
        };
        assert!(!effects.iter().any(rejected), "nobody has to press anything");
        let frames = std::mem::take(&mut effects);
        for frame in sent_frames(&frames) {
            effects.extend(match frame {
                ClientFrame::Command { id, .. } => {
                    let earliest = times.iter().rev().nth(9).map_or(0, |at| at + 10_000);
                    let answer = if bench.now < earliest {
                        let retry_after_ms = (earliest - bench.now) as u32;
                        Answer::Rejected(Rejection::TooFast { retry_after_ms })
                    } else {
                        times.push(bench.now);
                        taken.push(id.clone());
                        Answer::Accepted { seq: 4 }
                    };
                    let (id, again) = (id.clone(), false);
                    bench.frame(
                        2,
                        ServerFrame::Reply {
                            id,
                            answer,
                            duplicate: again,
                        },
                    )
                }
                ClientFrame::Ping { nonce } => bench.frame(2, ServerFrame::Pong { nonce: *nonce }),
                _ => Vec::new(),
            });
        }
        effects.extend(bench.later(100));
        assert!(bench.now < 200_000, "it takes no longer than the room asks for");
    }
    assert_eq!(taken, (0..WRITTEN).map(id).collect::<Vec<_>>());
}

/// One room's rate is not another's.
#[test]
fn a_topic_that_is_held_holds_no_other() {
    let mut bench = Bench::live();
    bench.send(1);
    bench.frame(1, too_fast(1, 4_000));
    assert_eq!(sent_frames(&bench.send(2)), Vec::<&ClientFrame>::new());
    let (topic, body) = ("chat/other".parse().unwrap(), Body::of(&3).unwrap());
    let effects = bench.input(Input::Send { topic, id: id(3), body });
    assert!(matches!(sent_frames(&effects)[..], [ClientFrame::Command { id: sent, .. }] if *sent == id(3)));
}

fn sent_as(effects: &[Effect]) -> CommandId {
    match sent_frames(effects)[..] {
        [ClientFrame::Command { id, .. }] => id.clone(),
        ref other => panic!("{other:?}"),
    }
}

fn refused(id: &CommandId, why: Rejection) -> ServerFrame {
    let (id, answer, again) = (id.clone(), Answer::Rejected(why), false);
    ServerFrame::Reply {
        id,
        answer,
        duplicate: again,
    }
}

fn send_as(bench: &mut Bench, id: &CommandId) -> Vec<Effect> {
    let (topic, id, body) = (topic(), id.clone(), Body::of(&0).unwrap());
    bench.input(Input::Send { topic, id, body })
}

/// Written on Friday before the lid was closed, sent on Monday: by the server's clock, as it is then.
#[test]
fn an_id_carries_the_servers_time_of_its_first_attempt() {
    let mut bench = Bench::new();
    bench.join(None);
    let friday = CommandId::at(1_000, 7);
    send_as(&mut bench, &friday);
    bench.open(1);
    let effects = bench.frame(1, welcome_at(1_800_000_000_000));
    let commands = sent_frames(&effects).into_iter().filter_map(|frame| match frame {
        ClientFrame::Command { id, .. } => Some(id.clone()),
        _ => None,
    });
    assert_eq!(commands.collect::<Vec<_>>(), [CommandId::at(1_800_000_000_000, 7)]);
    let (answer, again) = (Answer::Rejected(Rejection::refused("no")), false);
    let id = CommandId::at(1_800_000_000_000, 7);
    let effects = bench.frame(
        1,
        ServerFrame::Reply {
            id,
            answer,
            duplicate: again,
        },
    );
    let update = TopicUpdate::Command(friday, CommandOutcome::Rejected(Rejection::refused("no")));
    assert!(
        effects.contains(&Effect::Notify { topic: topic(), update }),
        "the page knows it by its own id"
    );
}

#[test]
fn a_time_that_was_not_taken_is_mended_where_there_was_no_effect_for_certain() {
    let mut bench = Bench::live();
    let mine = CommandId::at(1_000, 7);
    let first = sent_as(&send_as(&mut bench, &mine));
    let (no_effect, now_ms) = (false, 1_900_000_000_000);
    // Its only attempt.
    let effects = bench.frame(1, refused(&first, Rejection::IdTooOld { no_effect, now_ms }));
    let second = sent_as(&effects);
    assert_eq!(second, CommandId::at(now_ms, 7));
    let now_ms = 1_700_000_000_000;
    let third = sent_as(&bench.frame(1, refused(&second, Rejection::IdTooNew { now_ms })));
    assert_eq!(third, CommandId::at(now_ms, 7));
    // Now it is sent again without an answer: whether it arrived then, only the topic can say.
    bench.close(1, code::ABNORMAL);
    bench.later(10_000);
    bench.open(2);
    bench.frame(2, welcome("page"));
    let known = Rejection::IdTooOld {
        no_effect: true,
        now_ms: now_ms + 9,
    };
    let fourth = sent_as(&bench.frame(2, refused(&third, known)));
    assert_eq!(fourth, CommandId::at(now_ms + 9, 7));
    bench.close(2, code::ABNORMAL);
    bench.later(10_000);
    bench.open(3);
    bench.frame(3, welcome("page"));
    let unknown = Rejection::IdTooOld { no_effect, now_ms };
    let effects = bench.frame(3, refused(&fourth, unknown.clone()));
    let update = TopicUpdate::Command(mine, CommandOutcome::Rejected(unknown));
    assert!(
        effects.contains(&Effect::Notify { topic: topic(), update }),
        "the visitor looks"
    );
    assert_eq!((sent_frames(&effects).len(), bench.session.status().queued), (0, 0));
}

/// A poll that was refused with a wait tries no other transport, which would be refused as well.
#[test]
fn an_ordered_wait_holds_before_the_connection_was_live() {
    let mut bench = Bench::new();
    bench.join(None);
    bench.close(1, code::ABNORMAL);
    let (reason, retry_after_ms) = (Closing::TooFast, 9_000);
    bench.frame(2, ServerFrame::Closing { reason, retry_after_ms });
    assert!(opened(&bench.close(2, code::TOO_FAST)).is_empty());
    assert!(opened(&bench.later(8_999)).is_empty());
    assert_eq!(opened(&bench.later(1)).len(), 1);
}
