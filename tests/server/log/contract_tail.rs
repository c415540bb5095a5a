//! The contract for several nodes that use one log: appends of another node are found and read.

use std::sync::Arc;
use std::time::Duration;

use duplex_hub::log::{AnswerCounts, Log, TailStart};

use super::*;

type AnyLog = Arc<dyn Log>;

const LIMIT: usize = 100;

const fn counts(accepted: u64, rejected: u64) -> AnswerCounts {
    AnswerCounts { accepted, rejected }
}

const fn start(seq: Seq, accepted: u64, rejected: u64) -> TailStart {
    TailStart {
        seq,
        answers: counts(accepted, rejected),
    }
}

/// Another node stored answers without events: the caller does not know them and could decide the same commands again.
pub async fn an_append_after_unknown_answers_is_a_conflict(log: AnyLog) {
    let lobby = topic(LOBBY);
    let at = |accepted, rejected| LogEnd {
        answers: Some(counts(accepted, rejected)),
        ..LogEnd::from(1)
    };
    append_messages(&*log, &lobby, 0, 1).await;
    assert_eq!(log.open(&lobby, 10, 0).await.unwrap().head.answers, counts(1, 0));
    let without_events = entry(2, 0, Vec::new());
    assert_eq!(log.append(&lobby, at(1, 0), vec![without_events]).await, Ok(1));
    assert_eq!(
        log.append(&lobby, at(1, 0), vec![message_entry(3)]).await,
        conflict(1, 1)
    );
    let rejected = rejection_entry(command(4), 0, "no");
    assert_eq!(log.append(&lobby, at(2, 0), vec![rejected]).await, Ok(1));
    assert_eq!(
        log.append(&lobby, at(2, 0), vec![message_entry(3)]).await,
        conflict(1, 1)
    );
    let redacted = log
        .redact(&lobby, at(2, 0), vec![message_entry(3)], payloads(&[(1, "")]))
        .await;
    assert_eq!(redacted, conflict(1, 1));
    assert_eq!(log.append(&lobby, at(2, 1), vec![message_entry(3)]).await, Ok(2));
    assert_eq!(log.open(&lobby, 10, 0).await.unwrap().head.answers, counts(3, 1));
}

pub async fn a_tail_has_the_events_and_answers_after_its_start(log: AnyLog) {
    let lobby = topic(LOBBY);
    let empty = log.tail(&lobby, start(0, 0, 0), LIMIT).await.unwrap().unwrap();
    assert_eq!((empty.head.last, empty.records, empty.commands), (0, vec![], vec![]));
    append_messages(&*log, &lobby, 0, 3).await;
    let rejected = rejection_entry(command(9), 0, "no");
    log.append(&lobby, 3.into(), vec![rejected, entry(10, 0, Vec::new())])
        .await
        .unwrap();
    let records = all(&*log, &lobby).await;
    let all_answers = [answered(1, 1), answered(2, 2), answered(3, 3), answered(10, 3)];
    for known in 0..=3 {
        let tail = log.tail(&lobby, start(known, known, 0), LIMIT).await.unwrap().unwrap();
        let known = known as usize;
        assert_eq!(tail.head, log.open(&lobby, 10, 0).await.unwrap().head);
        assert_eq!(tail.records, records[known..]);
        assert_eq!(tail.commands, all_answers[known..]);
        let commands: Vec<_> = tail.rejections.iter().map(|rejected| &rejected.command).collect();
        assert_eq!(commands, [&command(9)]);
        let checksum = known.checked_sub(1).and_then(|index| records[index].checksum);
        assert_eq!((tail.checksum, tail.snapshot), (checksum, 0));
    }
    let tail = log.tail(&lobby, start(3, 4, 1), LIMIT).await.unwrap().unwrap();
    assert_eq!(
        (tail.records.len(), tail.commands.len(), tail.rejections.len()),
        (0, 0, 0)
    );
    log.snapshot(&lobby, 3, b"three".to_vec(), newest(1), 0).await.unwrap();
    let tail = log.tail(&lobby, start(2, 3, 1), LIMIT).await.unwrap().unwrap();
    assert_eq!((tail.snapshot, seqs(&tail.records), tail.head.first), (3, vec![3], 3));
    assert_eq!(tail.checksum, records[1].checksum, "of the newest removed event");
}

pub async fn a_tail_that_is_incomplete_is_not_returned(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 5).await;
    assert!(log.tail(&lobby, start(0, 0, 0), 5).await.unwrap().is_some());
    assert_eq!(log.tail(&lobby, start(0, 0, 0), 4).await, Ok(None), "beyond the limit");
    let rejections = (10..13).map(|number| rejection_entry(command(number), 0, "no"));
    log.append(&lobby, 5.into(), rejections.collect()).await.unwrap();
    assert_eq!(log.tail(&lobby, start(5, 5, 0), 2).await, Ok(None), "beyond the limit");
    assert_eq!(log.tail(&lobby, start(6, 5, 3), LIMIT).await, Ok(None), "after the end");
    assert_eq!(log.tail(&lobby, start(5, 6, 3), LIMIT).await, Ok(None), "after the end");
    log.snapshot(&lobby, 5, b"five".to_vec(), newest(2), 0).await.unwrap();
    assert_eq!(log.tail(&lobby, start(2, 2, 0), LIMIT).await, Ok(None), "removed");
    assert!(log.tail(&lobby, start(3, 3, 0), LIMIT).await.unwrap().is_some());
}

pub async fn moved_heads_are_found(log: AnyLog) {
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    append_messages(&*log, &lobby, 0, 2).await;
    let first = log.heads_since(None).await.unwrap();
    assert_eq!(first.heads, []);
    append_messages(&*log, &other, 0, 3).await;
    let second = log.heads_since(Some(first.version)).await.unwrap();
    assert!(second.heads.contains(&(other.clone(), 3)), "{second:?}");
    append_messages(&*log, &lobby, 2, 1).await;
    let third = log.heads_since(Some(second.version)).await.unwrap();
    assert!(third.heads.contains(&(lobby.clone(), 3)), "{third:?}");
    let both = log.heads_since(Some(first.version)).await.unwrap();
    assert!(
        both.heads.contains(&(lobby, 3)) && both.heads.contains(&(other, 3)),
        "{both:?}"
    );
}

pub async fn a_lease_has_one_holder(log: AnyLog) {
    let (short, long) = (Duration::from_millis(20), Duration::from_secs(3600));
    assert_eq!(log.lease("feed", 1, long).await, Ok(true));
    assert_eq!(log.lease("feed", u64::MAX, short).await, Ok(false));
    assert_eq!(log.lease("other", u64::MAX, long).await, Ok(true));
    assert_eq!(log.lease("feed", 1, long).await, Ok(true), "it is renewed");
    assert_eq!(log.end_lease("feed", u64::MAX).await, Ok(()));
    assert_eq!(log.lease("feed", u64::MAX, short).await, Ok(false));
    assert_eq!(log.end_lease("feed", 1).await, Ok(()));
    assert_eq!(log.lease("feed", u64::MAX, short).await, Ok(true));
    // It ends by itself.
    while log.lease("feed", 2, short).await == Ok(false) {}
    assert_eq!(log.lease("feed", 2, long).await, Ok(true));
}
