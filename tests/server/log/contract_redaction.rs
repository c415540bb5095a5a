//! Contract of the log: redactions: overwriting or removing stored events in the commit of an append.

use std::sync::Arc;

use super::*;

type AnyLog = Arc<dyn Log>;

pub async fn a_redaction_overwrites_payloads_and_keeps_seqs(log: AnyLog) {
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    let events = vec![event("one"), event("two"), amendment(1), event("four")];
    for topic in [&lobby, &other] {
        assert_eq!(
            log.append(topic, 0.into(), vec![entry(1, 50, events.clone())]).await,
            Ok(4)
        );
    }
    let before = all(&*log, &lobby).await;
    // Event 5 is part of this append, and event 9 does not exist.
    let redaction = payloads(&[(1, ""), (3, "-"), (5, "five"), (9, "nine")]);
    let deletion = entry(2, 60, vec![amendment(1)]);
    assert_eq!(log.redact(&lobby, 4.into(), vec![deletion], redaction).await, Ok(5));
    let after = all(&*log, &lobby).await;
    let positions = |records: &[Record]| {
        records
            .iter()
            .map(|record| (record.seq, record.at, record.amends))
            .collect::<Vec<_>>()
    };
    assert_eq!(positions(&after[..4]), positions(&before));
    assert_eq!(positions(&after[4..]), [(5, 60, Some(1))]);
    let texts: Vec<_> = after.iter().map(|record| record.event.clone()).collect();
    assert_eq!(texts, ["", "two", "-", "four", "five"].map(|text| event(text).1));
    let history = log.history(&lobby, 9, 9).await.unwrap();
    assert_eq!(history.records, after);
    assert_eq!(
        log.open(&lobby, 9, 0).await.unwrap().commands,
        [answered(1, 4), answered(2, 5)]
    );
    assert_eq!(
        all(&*log, &other).await,
        before,
        "another topic with the same seqs was changed"
    );
}

pub async fn a_redaction_replaces_the_snapshot(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 3).await;
    let snapshot = async || log.open(&lobby, 0, 0).await.unwrap().snapshot;
    assert_eq!(
        log.redact(&lobby, 3.into(), vec![message_entry(4)], payloads(&[(1, "")]))
            .await,
        Ok(4)
    );
    assert_eq!(snapshot().await, Some((4, b"after".to_vec())));
    assert_eq!(log.snapshot(&lobby, 3, b"older".to_vec(), ALL, 0).await, Ok(()));
    assert_eq!(
        snapshot().await,
        Some((4, b"after".to_vec())),
        "an older snapshot may contain redacted data"
    );
}

pub async fn a_redaction_is_atomic_with_its_append(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 3).await;
    log.snapshot(&lobby, 2, b"two".to_vec(), ALL, 0).await.unwrap();
    let (opened, records) = (log.open(&lobby, 9, 0).await, all(&*log, &lobby).await);
    for stale in [0, 2, 4] {
        let rejected = log
            .redact(&lobby, stale.into(), vec![message_entry(9)], payloads(&[(1, "")]))
            .await;
        assert_eq!(rejected, conflict(stale, 3));
    }
    assert_eq!(
        (log.open(&lobby, 9, 0).await, all(&*log, &lobby).await),
        (opened, records)
    );
}

pub async fn an_erased_topic_continues(log: AnyLog) {
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    append_messages(&*log, &lobby, 0, 6).await;
    append_messages(&*log, &other, 0, 6).await;
    let erased = |seq| RedactionWrite {
        redacted: RedactedEvents::Before(seq),
        state: b"nothing".to_vec(),
    };
    assert_eq!(
        log.redact(&lobby, 6.into(), vec![message_entry(7), message_entry(8)], erased(8))
            .await,
        Ok(8)
    );
    assert_eq!(seqs(&all(&*log, &lobby).await), [8]);
    assert_eq!(seqs(&all(&*log, &other).await), [1, 2, 3, 4, 5, 6]);
    let opened = log.open(&lobby, 99, 0).await.unwrap();
    assert_eq!((opened.head.first, opened.head.last), (8, 8));
    assert_eq!(opened.snapshot, Some((8, b"nothing".to_vec())));
    assert_eq!(opened.commands.len(), 8, "the answers were removed");
    assert_eq!(log.topics("chat").await, Ok(vec![lobby.clone(), other]));
    append_messages(&*log, &lobby, 8, 2).await;
    assert_eq!(seqs(&all(&*log, &lobby).await), [8, 9, 10]);
}

pub async fn amendments_are_returned_with_the_events_they_amend(log: AnyLog) {
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    let events = vec![
        event("1"),
        event("2"),
        amendment(1),
        amendment(2),
        amendment(1),
        amendment(9),
    ];
    for topic in [&lobby, &other] {
        assert_eq!(
            log.append(topic, 0.into(), vec![entry(1, 50, events.clone())]).await,
            Ok(6)
        );
    }
    let found = async |asked: &[Seq]| seqs(&log.with_amendments(&lobby, asked.to_vec()).await.unwrap());
    assert_eq!(found(&[1]).await, [1, 3, 5]);
    assert_eq!(found(&[2, 1, 1]).await, [1, 2, 3, 4, 5]);
    assert_eq!(found(&[5, 9]).await, [5, 6]);
    assert_eq!(found(&[]).await, [0; 0]);
    assert_eq!(log.with_amendments(&topic("chat/none"), vec![1]).await, Ok(vec![]));
}
