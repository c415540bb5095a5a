//! Tests of a store with a real session: frames from the server, signals for components.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::prelude::*;
use proptest::prelude::*;
use serde_json::json;

use super::{Store, to_ascii};
use crate::runtime::driver::{TopicObserver as _, ValueKind};
use crate::runtime::tab::Tab;
use crate::session::{Effect, EncodedCommand, Input, Session};
use crate::status::TopicStatus;
use crate::topic::CommandStatus;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{
    Answer, ClientFrame, CommandId, Denial, Rejection, ResetReason, ServerFrame, SessionId, Verdict, Welcome,
};
use duplex_protocol::topic::{Delivery, Topic, TopicName};

/// Texts, in the order in which they were added.
struct Notes;

impl Topic for Notes {
    const KIND: &'static str = "notes";
    type Command = String;
    type Event = String;
    type State = Vec<String>;

    fn apply(state: &mut Vec<String>, _seq: Seq, event: &String) {
        state.push(event.clone());
    }
}

struct Harness {
    /// Keeps signals and handlers alive.
    _owner: Owner,
    store: Store<Notes>,
    session: Session,
    sent: Vec<ClientFrame>,
}

fn topic() -> TopicName {
    TopicName::of::<Notes>("a").unwrap()
}

fn cursor(epoch: u64, seq: Seq) -> Cursor {
    Cursor::new(Epoch::new(epoch), seq)
}

fn encoded(value: impl serde::Serialize) -> EncodedValue {
    EncodedValue::encode(Encoding::Json, &value).unwrap()
}

fn person() -> Person {
    let id = PersonId("p".to_owned());
    let name = "Ada".to_owned();
    Person { id, name }
}

impl Harness {
    fn new() -> Self {
        let _ = any_spawner::Executor::init_futures_executor();
        let owner = Owner::new();
        owner.set();
        Self {
            store: Store::new(Some(topic()), ArcRwSignal::default()),
            session: Session::new(String::new()),
            sent: Vec::new(),
            _owner: owner,
        }
    }

    /// Subscribes over a WebSocket with the store's cursor.
    fn subscribed(&mut self) {
        let (topic, delivery) = (topic(), Delivery::Every);
        let cursor = self.store.initial_cursor();
        self.input(Input::Subscribe {
            topic,
            delivery,
            cursor,
        });
        let (connection, encoding) = (1, Encoding::Json);
        self.input(Input::Opened { connection, encoding });
        self.frame(ServerFrame::Welcome(Welcome {
            session: SessionId("s".to_owned()),
            person: person(),
            build: String::new(),
            node: String::new(),
            keepalive_ms: 10_000,
            now_ms: 0,
        }));
    }

    /// A live store with the state `["1", "2"]` at seq 2.
    fn live() -> Self {
        let mut harness = Self::new();
        harness.subscribed();
        harness.reset(ResetReason::New, cursor(1, 2), &["1", "2"]);
        harness
    }

    fn input(&mut self, input: Input) {
        for effect in self.session.handle(0, 0.5, input) {
            match effect {
                Effect::Notify { update, .. } => assert!(self.store.on_update(&update)),
                Effect::Send { frame, .. } => self.sent.push(frame),
                _ => {}
            }
        }
    }

    fn frame(&mut self, frame: ServerFrame) {
        let connection = 1;
        self.input(Input::Frame { connection, frame });
    }

    fn reset(&mut self, reason: ResetReason, cursor: Cursor, state: &[&str]) {
        let (topic, state) = (topic(), encoded(state));
        let verdict = Verdict::Reset { reason, cursor, state };
        self.frame(ServerFrame::Verdict { topic, verdict });
    }

    fn resumed(&mut self, replayed: u64, head: Cursor) {
        let topic = topic();
        let verdict = Verdict::Resumed { replayed, head };
        self.frame(ServerFrame::Verdict { topic, verdict });
    }

    fn event(&mut self, seq: Seq) {
        let (topic, event) = (topic(), encoded(seq.to_string()));
        let checksum = None;
        self.frame(ServerFrame::Event {
            topic,
            seq,
            checksum,
            event,
        });
    }

    fn send(&mut self, n: u128) -> CommandId {
        let (id, command) = (CommandId::without_time(n), n.to_string());
        self.store.push_pending(id.clone(), command.clone());
        let (topic, body) = (topic(), EncodedCommand::encode(&command).unwrap());
        let sent = id.clone();
        self.input(Input::Send { topic, id, body });
        sent
    }

    fn answer(&mut self, id: &CommandId, answer: Answer) {
        let (id, duplicate) = (id.clone(), false);
        self.frame(ServerFrame::Reply { id, answer, duplicate });
    }

    fn state(&self) -> String {
        self.store.state.get_untracked().concat()
    }

    fn pending(&self) -> Vec<CommandStatus> {
        self.store
            .pending
            .get_untracked()
            .into_iter()
            .map(|shown| shown.status)
            .collect()
    }

    fn status(&self) -> TopicStatus {
        self.store.status.get_untracked()
    }
}

#[test]
fn events_are_applied_in_order_and_handlers_are_called_after_each() {
    let mut harness = Harness::live();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let handler = {
        let (seen, state) = (Rc::clone(&seen), harness.store.state.clone());
        Rc::new(move |seq: Seq, event: &String| {
            let length = state.with_untracked(Vec::len);
            seen.borrow_mut().push((seq, event.clone(), length));
        })
    };
    let number = harness.store.add_handler(handler);
    harness.event(3);
    harness.event(4);
    harness.store.remove_handler(number);
    harness.event(5);
    assert_eq!(
        (harness.state(), harness.status()),
        ("12345".to_owned(), TopicStatus::Live)
    );
    assert_eq!(*seen.borrow(), [(3, "3".to_owned(), 3), (4, "4".to_owned(), 4)]);
    assert_eq!(harness.store.initial_cursor(), Some(cursor(1, 5)));
}

#[test]
fn handlers_keep_their_numbers_when_others_are_removed() {
    let harness = Harness::live();
    let handler = || Rc::new(|_: Seq, _: &String| {});
    let numbers = [0, 1, 2].map(|_| harness.store.add_handler(handler()));
    harness.store.remove_handler(numbers[0]);
    assert_eq!(harness.store.add_handler(handler()), 3);
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn a_duplicate_event_and_one_after_a_gap_are_not_applied() {
    let mut harness = Harness::live();
    harness.event(3);
    harness.event(3);
    harness.event(2);
    assert_eq!(harness.state(), "123");
    harness.event(5);
    assert_eq!(
        (harness.state(), harness.status()),
        ("123".to_owned(), TopicStatus::Resuming)
    );
    let requested = harness.sent.iter().rev().find_map(|frame| match frame {
        ClientFrame::Subscribe { cursor, .. } => Some(*cursor),
        _ => None,
    });
    assert_eq!(
        requested,
        Some(Some(cursor(1, 3))),
        "requested again from the state's cursor"
    );
    harness.resumed(2, cursor(1, 5));
    harness.event(4);
    harness.event(5);
    assert_eq!(harness.state(), "12345");
}

#[test]
fn a_new_state_replaces_the_old_one_and_a_lost_log_is_signalled() {
    let mut harness = Harness::live();
    harness.event(3);
    harness.reset(ResetReason::TooManyEvents, cursor(1, 9), &["9"]);
    assert_eq!(
        (harness.state(), harness.store.log_generation.get_untracked()),
        ("9".to_owned(), 0)
    );
    harness.reset(ResetReason::OtherEpoch, cursor(2, 1), &["x"]);
    assert_eq!(
        (harness.state(), harness.store.log_generation.get_untracked()),
        ("x".to_owned(), 1)
    );
    harness.event(2);
    assert_eq!(harness.state(), "x2");
}

#[test]
fn a_rendered_state_is_resumed_and_does_not_replace_a_newer_one() {
    let mut harness = Harness::new();
    let rendered = || Ok((cursor(1, 2), encoded(["1", "2"])));
    harness.store.hydrate(Some(person()), rendered());
    assert_eq!(
        (harness.state(), harness.status()),
        ("12".to_owned(), TopicStatus::Resuming)
    );
    assert_eq!(harness.store.me.get_untracked(), Some(person()));
    harness.subscribed();
    harness.resumed(1, cursor(1, 3));
    harness.event(3);
    harness.store.hydrate(None, rendered());
    assert_eq!(
        (harness.state(), harness.status()),
        ("123".to_owned(), TopicStatus::Live)
    );
    let mut late = Harness::live();
    late.event(3);
    late.store.hydrate(None, rendered());
    assert_eq!(late.state(), "123", "the session's state is newer");
}

#[test]
fn a_final_denial_is_applied_at_once_and_a_temporary_one_is_retried() {
    let store = Harness::new();
    store.store.hydrate(None, Err(Denial::Unavailable));
    assert_eq!(store.status(), TopicStatus::Loading);
    let store = Harness::new();
    store.store.hydrate(None, Err(Denial::Unknown));
    assert_eq!(store.status(), TopicStatus::Denied(Denial::Unknown));
}

#[test]
fn a_command_is_pending_until_its_event_is_in_the_state() {
    let mut harness = Harness::new();
    harness.send(7);
    assert_eq!(harness.pending(), [CommandStatus::Queued]);
    assert!(harness.store.has_pending());
    harness.subscribed();
    harness.reset(ResetReason::New, cursor(1, 2), &["1", "2"]);
    assert_eq!(harness.pending(), [CommandStatus::Sent]);
    harness.answer(&CommandId::without_time(7), Answer::Accepted { seq: 3 });
    assert_eq!(
        harness.pending(),
        [CommandStatus::Sent],
        "accepted, but its event has not arrived"
    );
    harness.event(3);
    assert_eq!((harness.pending(), harness.store.has_pending()), (Vec::new(), false));
}

#[test]
fn a_rejected_command_stays_until_it_is_removed() {
    let mut harness = Harness::live();
    let id = harness.send(7);
    let held = harness.send(8);
    assert_eq!(harness.store.remove_rejected(&id), None, "it is still unanswered");
    harness.answer(&id, Answer::Rejected(Rejection::custom("no")));
    let retry_after_ms = 2_000;
    harness.answer(&held, Answer::Rejected(Rejection::TooFast { retry_after_ms }));
    let rejected = CommandStatus::Rejected(Rejection::custom("no"));
    assert_eq!(
        harness.pending(),
        [rejected, CommandStatus::RateLimited { retry_after_ms }]
    );
    assert_eq!(harness.store.remove_rejected(&id), Some("7".to_owned()));
    assert_eq!(harness.store.remove_rejected(&held), None);
    harness.input(Input::Cancel { id: held });
    assert_eq!(harness.pending(), []);
}

#[test]
fn the_list_of_rejected_commands_is_bounded() {
    let mut harness = Harness::live();
    for n in 0..2 * super::MAX_PENDING as u128 {
        let id = harness.send(n);
        harness.answer(&id, Answer::Rejected(Rejection::custom("no")));
    }
    let pending = harness.store.pending.get_untracked();
    assert_eq!(pending.len(), super::MAX_PENDING);
    let newest = pending.last().map(|shown| shown.command.clone());
    assert_eq!(newest, Some((2 * super::MAX_PENDING - 1).to_string()));
}

#[test]
fn an_undecodable_event_is_reported_and_changes_nothing() {
    let harness = Harness::live();
    let (encoding, seq, checksum) = (Encoding::Json, 3, None);
    let event = encoded(json!({ "of": "a newer build" }));
    let update = crate::session::TopicUpdate::Event {
        encoding,
        seq,
        checksum,
        event,
    };
    assert!(!harness.store.on_update(&update));
    assert_eq!(
        (harness.state(), harness.store.initial_cursor()),
        ("12".to_owned(), Some(cursor(1, 2)))
    );
}

#[test]
fn contents_are_converted_to_json_from_every_encoding() {
    let harness = Harness::live();
    for encoding in Encoding::ALL {
        let encoded = EncodedValue::encode(encoding, &"가").unwrap();
        let json = harness.store.to_json(ValueKind::Event, encoding, &encoded);
        assert_eq!(json.as_deref(), Some("\"가\""));
    }
}

#[test]
fn components_share_a_store_until_the_last_is_cleaned_up() {
    let harness = Harness::new();
    let tab = Tab::default();
    let first = tab.store::<Notes>(&topic());
    let second = tab.store::<Notes>(&topic());
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    first.state.set(vec!["1".to_owned()]);
    drop(first);
    assert_eq!(second.state.get_untracked(), ["1"]);
    drop(second);
    let fresh = tab.store::<Notes>(&topic());
    assert_eq!(fresh.state.get_untracked(), Vec::<String>::new());
    assert_eq!(harness.state(), "", "a store of another tab");
}

proptest! {
    #[test]
    fn an_ascii_json_text_has_the_same_value(text in any::<String>()) {
        let json = serde_json::to_string(&(text.as_str(),)).unwrap();
        let ascii = to_ascii(&json);
        prop_assert!(ascii.is_ascii());
        prop_assert_eq!(serde_json::from_str::<(String,)>(&ascii).unwrap().0, text);
    }
}

#[test]
fn hydration_data_escapes_what_is_not_ascii() {
    assert_eq!(to_ascii("{\"a\":\"\\n가😀\"}"), "{\"a\":\"\\n\\uac00\\ud83d\\ude00\"}");
}
