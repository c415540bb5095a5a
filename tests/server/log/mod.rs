//! The log: one contract, run over every implementation, and what is true of one of them alone.

mod contract;
mod contract_check;
mod contract_ids;
mod contract_outbox;
mod contract_redaction;
mod cost;
mod file;
mod first_release;
mod memory;
mod model;
mod owners;
mod recorded;
mod sqlite;
mod syscalls;

use std::time::Duration;

use duplex_hub::log::{
    Answered, End, Entry, Erased, Forward, ForwardKey, Log, LogError, Millis, Record, Redaction, Retention,
};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{CommandId, Rejection};
use duplex_protocol::topic::TopicName;

/// Each function of the contract as a test. `$made` is an expression of a pair: the log, and what must live as long.
macro_rules! keeps_the_contract {
    ($made:expr) => {
        crate::log::keeps_the_contract!($made,
            a_topic_begins_empty, seqs_run_without_holes, an_append_to_an_old_state_is_a_conflict_and_keeps_nothing,
            of_an_append_all_is_kept_or_nothing, an_answer_without_events_is_kept,
            many_topics_are_appended_to_at_once, of_racing_appends_one_wins, a_reader_sees_only_what_is_whole,
            events_are_read_in_pages, history_brings_amendments, answers_are_those_of_the_window,
            a_snapshot_is_the_newest, retention_lets_go_what_it_says, retention_leaves_what_the_snapshot_lacks,
            retention_by_age_stops_at_the_first_that_is_young, an_event_from_the_future_holds_up_no_older_one,
            a_topic_goes_on_after_all_its_events_went,
            an_id_is_known_by_its_sender, refusals_are_kept_beside_the_answers, what_goes_leaves_its_time,
            what_is_not_told_leaves_its_time, a_redaction_overwrites_and_keeps_places, a_redaction_brings_its_snapshot,
            a_redaction_comes_with_its_append_or_not_at_all, an_erased_topic_goes_on, amendments_are_found_with_what_they_amend,
            forwards_are_kept_until_they_are_delivered, a_forward_goes_with_the_commit_of_its_effect,
            forwards_go_with_what_is_erased, topics_are_found_by_kind, bounds_beyond_everything_mean_all, closing_twice_is_closing,
            every_event_keeps_a_check, an_append_to_other_events_is_a_conflict, a_redaction_leaves_the_checks, the_check_of_what_is_gone_stays_known
        );
    };
    ($made:expr, $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (log, _alive) = $made;
                crate::log::contract::$name(log).await;
            }
        )+
    };
}
use keeps_the_contract;

const LOBBY: &str = "chat/lobby";

const ALL: Retention = Retention {
    events: u64::MAX,
    age: None,
};

const fn newest(events: u64) -> Retention {
    Retention { events, age: None }
}

const fn young(events: u64, millis: u64) -> Retention {
    let age = Some(Duration::from_millis(millis));
    Retention { events, age }
}

fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

fn command(number: u128) -> CommandId {
    CommandId::from_random(number)
}

fn somebody() -> PersonId {
    PersonId("0123456789abcdef".to_owned())
}

fn answered(number: u128, seq: Seq) -> Answered {
    Answered {
        by: somebody(),
        command: command(number),
        seq,
    }
}

fn payloads(erased: &[(Seq, &str)]) -> Redaction {
    let payload = |(seq, text): &(Seq, &str)| (*seq, event(text).1);
    Redaction {
        erased: Erased::Payloads(erased.iter().map(payload).collect()),
        state: b"after".to_vec(),
    }
}

fn event(text: &str) -> (Option<Seq>, Vec<u8>) {
    (None, format!("{{\"said\":\"{text}\"}}").into_bytes())
}

fn amendment(of: Seq) -> (Option<Seq>, Vec<u8>) {
    (Some(of), b"{\"amended\":\"\\u0000\"}".to_vec())
}

fn entry(number: u128, at: Millis, events: Vec<(Option<Seq>, Vec<u8>)>) -> Entry {
    Entry {
        command: command(number),
        by: somebody(),
        at,
        events,
        refused: None,
        forwards: Vec::new(),
        delivers: None,
    }
}

fn rejection_entry(command: CommandId, at: Millis, why: &str) -> Entry {
    Entry {
        command,
        refused: Some(Rejection::refused(why)),
        ..entry(0, at, Vec::new())
    }
}

/// To `to`, the only one of the entry's event.
fn forward(event: usize, to: &str) -> Forward {
    Forward {
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

fn said(number: u128) -> Entry {
    entry(number, 1000 + number as Millis, vec![event(&format!("가 {number}"))])
}

/// Appends `count` single events, each in an append of its own.
async fn talk(log: &dyn Log, topic: &TopicName, from: Seq, count: u64) {
    for seq in from..from + count {
        let appended = log.append(topic, seq.into(), vec![said(u128::from(seq) + 1)]).await;
        assert_eq!(appended, Ok(seq + 1));
    }
}

async fn all(log: &dyn Log, topic: &TopicName) -> Vec<Record> {
    log.read(topic, 0, usize::MAX).await.unwrap()
}

fn seqs(records: &[Record]) -> Vec<Seq> {
    records.iter().map(|record| record.seq).collect()
}

fn conflict<T>(expected: Seq, last: Seq) -> Result<T, LogError> {
    Err(LogError::Conflict { expected, last })
}
