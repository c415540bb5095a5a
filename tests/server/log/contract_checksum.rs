//! Contract of the log: the chained checksum of each event.

use std::sync::Arc;

use duplex_hub::log::chain;
use duplex_protocol::cursor::Checksum;

use super::*;

type AnyLog = Arc<dyn Log>;

/// The checksums computed from the events.
fn computed(records: &[Record]) -> Vec<Option<Checksum>> {
    let mut checksum = None;
    let next = records.iter().map(|record| {
        checksum = chain::next_checksum(checksum, record.seq, &record.event);
        checksum
    });
    next.collect()
}

/// The stored checksums.
fn stored(records: &[Record]) -> Vec<Option<Checksum>> {
    records.iter().map(|record| record.checksum).collect()
}

async fn checksums(log: &dyn Log, topic: &TopicName, seqs: std::ops::RangeInclusive<Seq>) -> Vec<Option<Checksum>> {
    let mut checksums = Vec::new();
    for seq in seqs {
        checksums.push(log.checksum(topic, seq).await.unwrap());
    }
    checksums
}

pub async fn every_event_has_a_checksum(log: AnyLog) {
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    assert_eq!(log.checksum(&lobby, 0).await, Ok(None));
    assert_eq!(log.open(&lobby, 0, 0).await.unwrap().head.checksum, None);
    let several = entry(9, 77, vec![event("a"), event("b"), amendment(1)]);
    assert_eq!(
        log.append(&lobby, 0.into(), vec![message_entry(1), several]).await,
        Ok(4)
    );
    append_messages(&*log, &lobby, 4, 3).await;
    append_messages(&*log, &other, 0, 2).await;
    let records = all(&*log, &lobby).await;
    assert_eq!(stored(&records), computed(&records));
    assert_eq!(checksums(&*log, &lobby, 1..=7).await, stored(&records));
    assert_eq!(log.open(&lobby, 0, 0).await.unwrap().head.checksum, records[6].checksum);
    assert_eq!(log.append(&lobby, 7.into(), vec![entry(99, 0, vec![])]).await, Ok(7));
    assert_eq!(log.open(&lobby, 0, 0).await.unwrap().head.checksum, records[6].checksum);
    for unknown in [0, 8, u64::MAX] {
        assert_eq!(log.checksum(&lobby, unknown).await, Ok(None), "{unknown}");
    }
    let history = log.history(&lobby, 9, 9).await.unwrap();
    assert_eq!(stored(&history.records), stored(&records));
}

pub async fn a_redaction_keeps_the_checksums(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 4).await;
    let before = stored(&all(&*log, &lobby).await);
    let redaction = payloads(&[(1, ""), (3, "")]);
    assert_eq!(
        log.redact(&lobby, 4.into(), vec![message_entry(5)], redaction).await,
        Ok(5)
    );
    let after = all(&*log, &lobby).await;
    assert_eq!(stored(&after)[..4], before);
    assert_eq!(after[4].checksum, chain::next_checksum(before[3], 5, &after[4].event));
}

/// A reader that has seen exactly the removed events can still be told from one that saw other events.
pub async fn the_checksum_before_removed_events_is_kept(log: AnyLog) {
    let lobby = topic(LOBBY);
    append_messages(&*log, &lobby, 0, 6).await;
    let before = stored(&all(&*log, &lobby).await);
    log.snapshot(&lobby, 6, b"six".to_vec(), newest(3), 0).await.unwrap();
    assert_eq!(seqs(&all(&*log, &lobby).await), [4, 5, 6]);
    assert_eq!(
        checksums(&*log, &lobby, 1..=6).await,
        [None, None, before[2], before[3], before[4], before[5]]
    );
    let erased = RedactionWrite {
        redacted: RedactedEvents::Before(7),
        state: b"nothing".to_vec(),
    };
    assert_eq!(
        log.redact(&lobby, 6.into(), vec![message_entry(7)], erased).await,
        Ok(7)
    );
    let records = all(&*log, &lobby).await;
    assert_eq!(seqs(&records), [7]);
    assert_eq!(
        records[0].checksum,
        chain::next_checksum(before[5], 7, &records[0].event)
    );
    let known = checksums(&*log, &lobby, 5..=7).await;
    assert_eq!(known, [None, before[5], records[0].checksum]);
    log.snapshot(&lobby, 7, b"seven".to_vec(), newest(0), 0).await.unwrap();
    assert_eq!(all(&*log, &lobby).await, []);
    assert_eq!(checksums(&*log, &lobby, 6..=7).await, [None, records[0].checksum]);
    assert_eq!(log.append(&lobby, 7.into(), vec![message_entry(8)]).await, Ok(8));
    let records = all(&*log, &lobby).await;
    assert_eq!(
        records[0].checksum,
        chain::next_checksum(known[2], 8, &records[0].event)
    );
}

/// The caller's state follows from other events, although from as many.
pub async fn an_append_to_other_events_is_a_conflict(log: AnyLog) {
    let lobby = topic(LOBBY);
    let at = |seq, checksum| LogEnd {
        seq,
        checksum,
        answers: None,
    };
    assert_eq!(log.append(&lobby, at(0, None), vec![message_entry(1)]).await, Ok(1));
    let one = log.checksum(&lobby, 1).await.unwrap();
    let other = chain::next_checksum(None, 1, b"{}");
    assert_eq!(
        log.append(&lobby, at(1, other), vec![message_entry(2)]).await,
        conflict(1, 1)
    );
    let redacted = log
        .redact(&lobby, at(1, other), vec![message_entry(2)], payloads(&[(1, "")]))
        .await;
    assert_eq!(redacted, conflict(1, 1));
    assert_eq!(all(&*log, &lobby).await.len(), 1, "a conflicting append was stored");
    assert_eq!(log.append(&lobby, at(1, one), vec![message_entry(2)]).await, Ok(2));
    assert_eq!(log.append(&lobby, at(2, None), vec![message_entry(3)]).await, Ok(3));
}
