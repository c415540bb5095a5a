//! The log: a contract suite that runs over every implementation, and tests of each implementation.

mod contract;
mod contract_checksum;
mod contract_ids;
mod contract_outbox;
mod contract_redaction;
mod contract_tail;
mod cost;
mod file;
mod first_release;
mod memory;
mod model;
mod operator_files;
mod outage;
mod postgres;
mod postgres_nodes;
mod recorded;
mod sqlite;
mod syscalls;
mod transfer;

use std::time::Duration;

use duplex_hub::log::{
    AcceptedCommand, Entry, ForwardKey, ForwardRecord, Log, LogEnd, LogError, Millis, Record, RedactedEvents,
    RedactionWrite, Retention,
};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{CommandId, Rejection};
use duplex_protocol::topic::TopicName;

/// Makes a test of each function of the contract. `$log` evaluates to a pair: a log, and a guard that must outlive it. After
/// `shared`, the contract of a log that several nodes use.
macro_rules! contract_tests {
    ($log:expr) => {
        crate::log::contract_tests!($log,
            a_new_topic_is_empty, seqs_are_contiguous, an_append_with_a_stale_head_is_a_conflict_and_stores_nothing,
            an_append_is_atomic, an_answer_without_events_is_stored,
            concurrent_appends_to_many_topics_succeed, one_of_several_racing_appends_wins, a_reader_sees_only_complete_appends,
            events_are_read_in_pages, history_includes_amendments, open_returns_the_answers_of_the_window,
            the_newest_snapshot_is_kept, retention_removes_the_oldest_events, retention_keeps_events_after_the_snapshot,
            retention_by_age_stops_at_the_first_young_event, an_event_from_the_future_does_not_protect_older_events,
            a_topic_continues_after_all_its_events_were_removed,
            a_command_id_is_scoped_to_its_sender, rejections_are_stored_with_the_answers, removing_answers_raises_forgotten,
            omitting_answers_raises_forgotten, a_redaction_overwrites_payloads_and_keeps_seqs, a_redaction_replaces_the_snapshot,
            a_redaction_is_atomic_with_its_append, an_erased_topic_continues, amendments_are_returned_with_the_events_they_amend,
            forwards_are_stored_until_delivered, a_forward_is_removed_in_the_commit_of_its_effect,
            erasing_events_removes_their_forwards, topics_are_listed_by_kind, bounds_beyond_the_log_return_everything, close_is_idempotent,
            every_event_has_a_checksum, an_append_to_other_events_is_a_conflict, a_redaction_keeps_the_checksums, the_checksum_before_removed_events_is_kept,
            an_append_after_unknown_answers_is_a_conflict
        );
    };
    (shared $log:expr) => {
        crate::log::contract_tests!($log,
            a_tail_has_the_events_and_answers_after_its_start, a_tail_that_is_incomplete_is_not_returned, moved_heads_are_found,
            a_lease_has_one_holder
        );
    };
    ($log:expr, $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (log, _guard) = $log;
                crate::log::contract::$name(log).await;
            }
        )+
    };
}
use contract_tests;

const LOBBY: &str = "chat/lobby";

const ALL: Retention = Retention {
    events: u64::MAX,
    age: None,
};

const fn newest(events: u64) -> Retention {
    Retention { events, age: None }
}

const fn newest_or_young(events: u64, millis: u64) -> Retention {
    let age = Some(Duration::from_millis(millis));
    Retention { events, age }
}

fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

fn command(number: u128) -> CommandId {
    CommandId::from_bits(number)
}

fn sender() -> PersonId {
    PersonId("0123456789abcdef".to_owned())
}

fn answered(number: u128, seq: Seq) -> AcceptedCommand {
    AcceptedCommand {
        sender: sender(),
        command: command(number),
        seq,
    }
}

fn payloads(erased: &[(Seq, &str)]) -> RedactionWrite {
    let payload = |(seq, text): &(Seq, &str)| (*seq, event(text).1);
    RedactionWrite {
        redacted: RedactedEvents::Payloads(erased.iter().map(payload).collect()),
        state: b"after".to_vec(),
    }
}

fn event(text: &str) -> (Option<Seq>, Vec<u8>) {
    (None, format!("{{\"said\":\"{text}\"}}").into_bytes())
}

fn amendment(amended: Seq) -> (Option<Seq>, Vec<u8>) {
    (Some(amended), b"{\"amended\":\"\\u0000\"}".to_vec())
}

fn entry(number: u128, at: Millis, events: Vec<(Option<Seq>, Vec<u8>)>) -> Entry {
    Entry {
        command: command(number),
        sender: sender(),
        at,
        events,
        rejection: None,
        forwards: Vec::new(),
        delivers: None,
    }
}

fn rejection_entry(command: CommandId, at: Millis, why: &str) -> Entry {
    Entry {
        command,
        rejection: Some(Rejection::custom(why)),
        ..entry(0, at, Vec::new())
    }
}

/// A forward of the event with this index to the topic `to`.
fn forward(event: usize, to: &str) -> ForwardRecord {
    ForwardRecord {
        event,
        index: 0,
        to: topic(to),
        command: command(to.len() as u128),
        payload: format!("\"{to}\"").into_bytes(),
    }
}

fn key(from: &TopicName, seq: Seq, index: u32) -> ForwardKey {
    let from = from.clone();
    ForwardKey { from, seq, index }
}

fn message_entry(number: u128) -> Entry {
    entry(number, 1000 + number as Millis, vec![event(&format!("가 {number}"))])
}

/// Appends `count` messages, each in a separate append.
async fn append_messages(log: &dyn Log, topic: &TopicName, from: Seq, count: u64) {
    for seq in from..from + count {
        let appended = log
            .append(topic, seq.into(), vec![message_entry(u128::from(seq) + 1)])
            .await;
        assert_eq!(appended, Ok(seq + 1));
    }
}

/// All records of a topic.
async fn all(log: &dyn Log, topic: &TopicName) -> Vec<Record> {
    log.read(topic, 0, usize::MAX).await.unwrap()
}

fn seqs(records: &[Record]) -> Vec<Seq> {
    records.iter().map(|record| record.seq).collect()
}

fn conflict<T>(expected: Seq, last: Seq) -> Result<T, LogError> {
    Err(LogError::Conflict { expected, last })
}
