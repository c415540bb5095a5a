//! The contract suite of the log. Each test takes an empty log and runs on every implementation.

use std::sync::Arc;

use duplex::server::limits;
use duplex_hub::log::{Log, LogError, Record};
use futures_util::future::{join_all, try_join_all};

pub use super::contract_checksum::*;
pub use super::contract_ids::*;
pub use super::contract_outbox::*;
pub use super::contract_redaction::*;
pub use super::contract_tail::*;
use super::*;

type AnyLog = Arc<dyn Log>;

pub async fn a_new_topic_is_empty(log: AnyLog) {
    let opened = log.open(&topic(LOBBY), 10, 0).await.unwrap();
    assert_eq!((opened.head.first, opened.head.last), (1, 0));
    assert_eq!((opened.snapshot, opened.commands), (None, vec![]));
    assert_eq!(all(&*log, &topic(LOBBY)).await, []);
    let history = log.history(&topic(LOBBY), 1, 10).await.unwrap();
    assert!(history.records.is_empty() && history.reaches_start);
    assert_eq!(log.topics("chat").await, Ok(vec![]));
}

pub async fn seqs_are_contiguous(log: AnyLog) {
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    append_messages(&*log, &lobby, 0, 5).await;
    append_messages(&*log, &other, 0, 2).await;
    let several = entry(9, 77, vec![event("a"), event("b"), amendment(3)]);
    assert_eq!(
        log.append(&lobby, 5.into(), vec![several, message_entry(10)]).await,
        Ok(9)
    );
    let records = all(&*log, &lobby).await;
    assert_eq!(seqs(&records), (1..=9).collect::<Vec<_>>());
    let (amends, event) = amendment(3);
    let expected = Record {
        seq: 8,
        at: 77,
        amends,
        checksum: records[7].checksum,
        event,
    };
    assert_eq!(records[7], expected);
    assert_eq!(seqs(&all(&*log, &other).await), [1, 2]);
    let one = log.open(&lobby, 0, 0).await.unwrap().head;
    let two = log.open(&other, 0, 0).await.unwrap().head;
    assert_eq!((one.first, one.last, two.first, two.last), (1, 9, 1, 2));
    assert_eq!(one.epoch, two.epoch);
}

pub async fn an_append_with_a_stale_head_is_a_conflict_and_stores_nothing(log: AnyLog) {
    let lobby = topic(LOBBY);
    assert_eq!(
        log.append(&lobby, 1.into(), vec![message_entry(1)]).await,
        conflict(1, 0)
    );
    assert_eq!(log.topics("chat").await, Ok(vec![]));
    append_messages(&*log, &lobby, 0, 2).await;
    for stale in [0, 1, 3, u64::MAX] {
        assert_eq!(
            log.append(&lobby, stale.into(), vec![message_entry(7)]).await,
            conflict(stale, 2)
        );
    }
    let opened = log.open(&lobby, 10, 0).await.unwrap();
    assert_eq!(opened.head.last, 2);
    assert_eq!(opened.commands, [answered(1, 1), answered(2, 2)]);
}

pub async fn an_append_is_atomic(log: AnyLog) {
    let lobby = topic(LOBBY);
    let entries = |from: u128| (from..from + 3).map(message_entry).collect::<Vec<_>>();
    let appends = (0..10).map(|n| log.append(&lobby, 0.into(), entries(n * 10)));
    let won = join_all(appends).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
    let opened = log.open(&lobby, 100, 0).await.unwrap();
    assert_eq!((opened.head.last, opened.commands.len()), (3, 3));
    assert_eq!(log.append(&lobby, 3.into(), vec![]).await, Ok(3));
}

pub async fn an_answer_without_events_is_stored(log: AnyLog) {
    let lobby = topic(LOBBY);
    let nothing = |number| entry(number, 5, vec![]);
    assert_eq!(log.append(&lobby, 0.into(), vec![nothing(1)]).await, Ok(0));
    append_messages(&*log, &lobby, 0, 1).await;
    assert_eq!(
        log.append(&lobby, 1.into(), vec![nothing(2), message_entry(3), nothing(4)])
            .await,
        Ok(2)
    );
    let commands = log.open(&lobby, 10, 0).await.unwrap().commands;
    let expected = [(1, 0), (1, 1), (2, 1), (3, 2), (4, 2)].map(|(number, seq)| answered(number, seq));
    assert_eq!(commands, expected);
}

pub async fn concurrent_appends_to_many_topics_succeed(log: AnyLog) {
    let names: Vec<_> = (0..50).map(|n| topic(&format!("chat/{n}"))).collect();
    join_all(names.iter().map(|name| append_messages(&*log, name, 0, 8))).await;
    for name in &names {
        assert_eq!(seqs(&all(&*log, name).await), (1..=8).collect::<Vec<_>>());
    }
}

/// For logs that count their commits.
pub async fn assert_concurrent_appends_share_commits(log: &dyn Log) {
    let names: Vec<_> = (0..400).map(|n| topic(&format!("chat/{n}"))).collect();
    let appends = names
        .iter()
        .map(|name| log.append(name, 0.into(), vec![message_entry(1)]));
    assert!(join_all(appends).await.iter().all(|result| *result == Ok(1)));
    let stats = log.writer_stats();
    assert_eq!(stats.appends, 400);
    assert!(stats.commits <= 100, "{stats:?}");
}

pub async fn one_of_several_racing_appends_wins(log: AnyLog) {
    let lobby = topic(LOBBY);
    for seq in 0..10 {
        let racing = (0..8).map(|n| {
            let (log, lobby) = (log.clone(), lobby.clone());
            tokio::spawn(async move { log.append(&lobby, seq.into(), vec![message_entry(n)]).await })
        });
        let mut results: Vec<_> = try_join_all(racing).await.unwrap();
        results.sort_by_key(Result::is_err);
        assert_eq!(results[0], Ok(seq + 1));
        assert!(results[1..].iter().all(|lost| *lost == conflict(seq, seq + 1)));
    }
}

pub async fn a_reader_sees_only_complete_appends(log: AnyLog) {
    let lobby = topic(LOBBY);
    let writer = {
        let (log, lobby) = (log.clone(), lobby.clone());
        tokio::spawn(async move {
            for seq in (0..90).step_by(3) {
                let three = vec![message_entry(1), entry(2, 0, vec![event("x"), event("y")])];
                assert_eq!(log.append(&lobby, seq.into(), three).await, Ok(seq + 3));
                // An acknowledged append is visible.
                assert_eq!(log.open(&lobby, 0, 0).await.unwrap().head.last, seq + 3);
            }
        })
    };
    let mut before = 0;
    while before < 90 {
        let opened = log.open(&lobby, usize::MAX, 0).await.unwrap();
        let last = opened.head.last;
        assert!(last >= before && last.is_multiple_of(3), "{last} after {before}");
        assert_eq!(opened.commands.len() as u64, last / 3 * 2);
        let records = all(&*log, &lobby).await;
        assert!(records.len() as u64 >= last && records.len().is_multiple_of(3));
        before = last;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

pub async fn events_are_read_in_pages(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 10).await;
    let page = async |after, limit| seqs(&log.read(&lobby, after, limit).await.unwrap());
    assert_eq!(page(0, 4).await, [1, 2, 3, 4]);
    assert_eq!(page(4, 4).await, [5, 6, 7, 8]);
    assert_eq!(page(8, 4).await, [9, 10]);
    for (after, limit) in [(10, 4), (11, 4), (0, 0)] {
        assert_eq!(page(after, limit).await, [0; 0]);
    }
}

pub async fn history_includes_amendments(log: AnyLog) {
    let lobby = topic(LOBBY);
    // 1 2 3(1) 4 5(2) 6(3) 7 8(4) 9(1) 10
    let events = [
        None,
        None,
        Some(1),
        None,
        Some(2),
        Some(3),
        None,
        Some(4),
        Some(1),
        None,
    ]
    .map(|amended| amended.map_or_else(|| event("x"), amendment));
    assert_eq!(
        log.append(&lobby, 0.into(), vec![entry(1, 5, events.to_vec())]).await,
        Ok(10)
    );
    for (before, limit, expected, first) in [
        (11, 1, vec![10], false),
        (10, 1, vec![7], false),
        (7, 1, vec![4, 8], false),
        (4, 2, vec![1, 2, 3, 5, 9], true),
        (4, 1, vec![2, 5], false),
        (2, 9, vec![1, 3, 9], true),
        (1, 9, vec![], true),
        (5, 0, vec![], false),
        (u64::MAX, usize::MAX, vec![1, 2, 3, 4, 5, 7, 8, 9, 10], true),
    ] {
        let history = log.history(&lobby, before, limit).await.unwrap();
        assert_eq!(
            (seqs(&history.records), history.reaches_start),
            (expected, first),
            "{before}, {limit}"
        );
        assert_eq!((history.head.first, history.head.last), (1, 10));
    }
}

pub async fn open_returns_the_answers_of_the_window(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 6).await;
    let window = async |commands, since| log.open(&lobby, commands, since).await.unwrap().commands;
    let expected = |from: u64| (from..=6).map(|n| answered(n.into(), n)).collect::<Vec<_>>();
    assert_eq!(window(10, 0).await, expected(1));
    assert_eq!(window(2, 0).await, expected(5));
    // Message n has the time 1000 + n.
    assert_eq!(window(10, 1004).await, expected(4));
    assert_eq!(window(2, 1004).await, expected(5));
    assert_eq!(window(0, 0).await, []);
    assert_eq!(window(10, u64::MAX).await, []);
}

pub async fn the_newest_snapshot_is_kept(log: AnyLog) {
    let lobby = topic(LOBBY);
    let snapshot = async || log.open(&lobby, 0, 0).await.unwrap().snapshot;
    let save = async |seq, state: &[u8]| log.snapshot(&lobby, seq, state.to_vec(), ALL, 0).await;
    assert_eq!(save(1, b"early").await, conflict(1, 0));
    append_messages(&*log, &lobby, 0, 5).await;
    assert_eq!(save(3, b"three").await, Ok(()));
    assert_eq!(save(2, b"two").await, Ok(()));
    assert_eq!(snapshot().await, Some((3, b"three".to_vec())));
    assert_eq!(save(3, b"three again").await, Ok(()));
    assert_eq!(snapshot().await, Some((3, b"three again".to_vec())));
    assert_eq!(save(6, b"early").await, conflict(6, 5));
    assert_eq!(save(5, b"\0\xff").await, Ok(()));
    assert_eq!(snapshot().await, Some((5, b"\0\xff".to_vec())));
    assert_eq!(seqs(&all(&*log, &lobby).await), [1, 2, 3, 4, 5]);
}

pub async fn retention_removes_the_oldest_events(log: AnyLog) {
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    // More than the store removes at once.
    let many = limits::RETENTION_BATCH as u64 * 2 + 20;
    let entries = (1..=many).map(|n| message_entry(n.into())).collect();
    assert_eq!(log.append(&lobby, 0.into(), entries).await, Ok(many));
    append_messages(&*log, &other, 0, 3).await;
    assert_eq!(log.snapshot(&lobby, many, vec![], newest(7), 0).await, Ok(()));
    assert_eq!(seqs(&all(&*log, &lobby).await), (many - 6..=many).collect::<Vec<_>>());
    let opened = log.open(&lobby, usize::MAX, 0).await.unwrap();
    assert_eq!((opened.head.first, opened.head.last), (many - 6, many));
    assert_eq!(opened.commands.len() as u64, many, "answers have their own retention");
    assert_eq!(seqs(&all(&*log, &other).await), [1, 2, 3]);
    let history = log.history(&lobby, many - 6, 5).await.unwrap();
    assert!(history.records.is_empty() && history.reaches_start);
    // A day later, the answers have expired, too.
    let later = 1_000_000 + limits::DEDUPE_AGE.as_millis() as u64;
    assert_eq!(log.snapshot(&lobby, many, vec![], newest(7), later).await, Ok(()));
    assert_eq!(log.open(&lobby, usize::MAX, 0).await.unwrap().commands, []);
}

pub async fn retention_keeps_events_after_the_snapshot(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 10).await;
    for retention in [newest(0), newest(1), newest_or_young(100, 0)] {
        assert_eq!(log.snapshot(&lobby, 4, vec![], retention, 1 << 40).await, Ok(()));
        assert_eq!(seqs(&all(&*log, &lobby).await), [5, 6, 7, 8, 9, 10]);
    }
}

pub async fn retention_by_age_stops_at_the_first_young_event(log: AnyLog) {
    let lobby = topic(LOBBY);
    // The clock was set back between the third and the fourth event.
    let times = [100, 200, 500, 300, 600];
    let entries = times.iter().map(|at| entry(1, *at, vec![event("x")])).collect();
    assert_eq!(log.append(&lobby, 0.into(), entries).await, Ok(5));
    assert_eq!(
        log.snapshot(&lobby, 5, vec![], newest_or_young(100, 600), 1000).await,
        Ok(())
    );
    assert_eq!(seqs(&all(&*log, &lobby).await), [3, 4, 5]);
}

pub async fn an_event_from_the_future_does_not_protect_older_events(log: AnyLog) {
    let lobby = topic(LOBBY);
    // The clock was ahead at the first two events and at the last one.
    let times = [90_000, 90_001, 100, 200, 900, 90_002];
    let entries = times.iter().map(|at| entry(1, *at, vec![event("x")])).collect();
    assert_eq!(log.append(&lobby, 0.into(), entries).await, Ok(6));
    assert_eq!(
        log.snapshot(&lobby, 6, vec![], newest_or_young(100, 500), 1000).await,
        Ok(())
    );
    assert_eq!(seqs(&all(&*log, &lobby).await), [5, 6]);
}

pub async fn a_topic_continues_after_all_its_events_were_removed(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 3).await;
    assert_eq!(log.snapshot(&lobby, 3, b"state".to_vec(), newest(0), 0).await, Ok(()));
    let opened = log.open(&lobby, 0, 0).await.unwrap();
    assert_eq!((opened.head.first, opened.head.last), (4, 3));
    assert_eq!(log.topics("chat").await, Ok(vec![lobby.clone()]));
    assert_eq!(
        log.append(&lobby, 0.into(), vec![message_entry(9)]).await,
        conflict(0, 3)
    );
    append_messages(&*log, &lobby, 3, 2).await;
    assert_eq!(seqs(&all(&*log, &lobby).await), [4, 5]);
}

pub async fn a_command_id_is_scoped_to_its_sender(log: AnyLog) {
    let lobby = topic(LOBBY);
    let other = PersonId("ffffffffffffffff".to_owned());
    let of_other = Entry {
        sender: other.clone(),
        ..message_entry(1)
    };
    assert_eq!(
        log.append(&lobby, 0.into(), vec![message_entry(1), of_other]).await,
        Ok(2)
    );
    let expected = [
        answered(1, 1),
        AcceptedCommand {
            sender: other,
            ..answered(1, 2)
        },
    ];
    assert_eq!(log.open(&lobby, 9, 0).await.unwrap().commands, expected);
}

pub async fn topics_are_listed_by_kind(log: AnyLog) {
    for name in ["chat/b", "chat/a/x", "chats/c", "cha/d", "chat/a"] {
        append_messages(&*log, &topic(name), 0, 1).await;
    }
    log.append(&topic("chat/silent"), 0.into(), vec![entry(1, 1, vec![])])
        .await
        .unwrap();
    assert_eq!(
        log.topics("chat").await,
        Ok(["chat/a", "chat/a/x", "chat/b"].map(topic).to_vec())
    );
    assert_eq!(log.topics("cha").await, Ok(vec![topic("cha/d")]));
    assert_eq!(log.topics("market").await, Ok(vec![]));
}

pub async fn bounds_beyond_the_log_return_everything(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 2).await;
    assert_eq!(log.read(&lobby, u64::MAX, usize::MAX).await, Ok(vec![]));
    assert_eq!(log.open(&lobby, usize::MAX, 0).await.unwrap().commands.len(), 2);
    assert_eq!(
        log.snapshot(&lobby, 2, vec![], newest_or_young(u64::MAX, u64::MAX), u64::MAX)
            .await,
        Ok(())
    );
    assert_eq!(seqs(&all(&*log, &lobby).await), [1, 2]);
}

pub async fn close_is_idempotent(log: AnyLog) {
    let lobby = topic(LOBBY);
    let appends = (0..20).map(|n| {
        let (log, name) = (log.clone(), topic(&format!("chat/{n}")));
        async move { log.append(&name, 0.into(), vec![message_entry(n)]).await }
    });
    assert!(join_all(appends).await.iter().all(Result::is_ok));
    tokio::join!(log.close(), log.close());
    log.close().await;
    if let Err(error) = log.append(&lobby, 0.into(), vec![message_entry(1)]).await {
        assert!(matches!(error, LogError::Unavailable(_)), "{error}");
    }
}
