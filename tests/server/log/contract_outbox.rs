//! Contract of the log: the outbox of forwards.

use std::sync::Arc;

use duplex_hub::log::PendingForward;

use super::*;

type AnyLog = Arc<dyn Log>;

/// An entry with three events and these forwards: (event index, forward index, target).
fn forwarding(number: u128, to: &[(usize, u32, &str)]) -> Entry {
    let forwards = to.iter().map(|(event, index, to)| ForwardRecord {
        index: *index,
        ..forward(*event, to)
    });
    Entry {
        forwards: forwards.collect(),
        ..entry(number, 77, vec![event("a"), event("b"), event("c")])
    }
}

/// The stored forwards: seq, index and target.
async fn stored(log: &AnyLog, from: Option<&TopicName>) -> Vec<(Seq, u32, String)> {
    let forwards = log.forwards(from).await.unwrap();
    let summary = |forward: PendingForward| (forward.key.seq, forward.key.index, forward.to.to_string());
    forwards.into_iter().map(summary).collect()
}

fn expected(all: &[(Seq, u32, &str)]) -> Vec<(Seq, u32, String)> {
    all.iter().map(|(seq, n, to)| (*seq, *n, (*to).to_owned())).collect()
}

pub async fn forwards_are_stored_until_delivered(log: AnyLog) {
    let (a, b) = (topic("chat/a"), topic("chat/b"));
    assert_eq!(log.forwards(None).await, Ok(vec![]));
    let first = forwarding(1, &[(0, 0, "list/x"), (2, 0, "list/x"), (2, 1, "list/yy")]);
    assert_eq!(log.append(&b, 0.into(), vec![message_entry(7), first]).await, Ok(4));
    assert_eq!(
        log.append(&a, 0.into(), vec![forwarding(2, &[(1, 0, "list/x")])]).await,
        Ok(3)
    );
    assert_eq!(
        log.append(&a, 9.into(), vec![forwarding(3, &[(1, 0, "list/x")])]).await,
        conflict(9, 3)
    );
    let of_b = expected(&[(2, 0, "list/x"), (4, 0, "list/x"), (4, 1, "list/yy")]);
    assert_eq!(stored(&log, Some(&b)).await, of_b);
    assert_eq!(stored(&log, Some(&topic("chat/c"))).await, []);
    assert_eq!(stored(&log, None).await, [expected(&[(2, 0, "list/x")]), of_b].concat());
    let last = log.forwards(Some(&b)).await.unwrap().pop().unwrap();
    let last_expected = PendingForward {
        key: key(&b, 4, 1),
        to: topic("list/yy"),
        command: command(7),
        at: 77,
        payload: b"\"list/yy\"".to_vec(),
    };
    assert_eq!(last, last_expected);
    let delivered = vec![key(&b, 4, 0), key(&b, 3, 0), key(&topic("chat/c"), 1, 0), key(&a, 2, 0)];
    for _ in 0..2 {
        assert_eq!(log.remove_forwards(delivered.clone()).await, Ok(()));
        assert_eq!(
            stored(&log, None).await,
            expected(&[(2, 0, "list/x"), (4, 1, "list/yy")])
        );
    }
    let snapshot = log.snapshot(&b, 4, b"state".to_vec(), newest(0), u64::MAX).await;
    assert_eq!(snapshot, Ok(()));
    assert_eq!(stored(&log, None).await.len(), 2, "retention removed forwards");
}

pub async fn a_forward_is_removed_in_the_commit_of_its_effect(log: AnyLog) {
    let (a, list) = (topic("chat/a"), topic("list/x"));
    let both = forwarding(1, &[(0, 0, "list/x"), (1, 0, "list/x")]);
    assert_eq!(log.append(&a, 0.into(), vec![both]).await, Ok(3));
    let effect = |number, seq| Entry {
        delivers: Some(key(&a, seq, 0)),
        ..message_entry(number)
    };
    assert_eq!(log.append(&list, 5.into(), vec![effect(2, 1)]).await, conflict(5, 0));
    assert_eq!(
        stored(&log, None).await.len(),
        2,
        "a conflicting append removed a forward"
    );
    assert_eq!(log.append(&list, 0.into(), vec![effect(2, 1)]).await, Ok(1));
    assert_eq!(stored(&log, None).await, expected(&[(2, 0, "list/x")]));
    // A forward that was delivered before is ignored.
    assert_eq!(log.append(&list, 1.into(), vec![effect(3, 1)]).await, Ok(2));
    let redacting = log
        .redact(&list, 2.into(), vec![effect(4, 2)], payloads(&[(1, "")]))
        .await;
    assert_eq!((redacting, stored(&log, None).await), (Ok(3), vec![]));
}

pub async fn erasing_events_removes_their_forwards(log: AnyLog) {
    let (a, b) = (topic("chat/a"), topic("chat/b"));
    for topic in [&a, &b] {
        let entries = vec![forwarding(1, &[(0, 0, "list/x"), (1, 0, "list/x"), (2, 0, "list/x")])];
        assert_eq!(log.append(topic, 0.into(), entries).await, Ok(3));
    }
    assert_eq!(
        log.redact(&a, 3.into(), vec![message_entry(4)], payloads(&[(2, "")]))
            .await,
        Ok(4)
    );
    assert_eq!(
        stored(&log, Some(&a)).await,
        expected(&[(1, 0, "list/x"), (3, 0, "list/x")])
    );
    let everything = RedactionWrite {
        redacted: RedactedEvents::Before(5),
        state: b"after".to_vec(),
    };
    let last = forwarding(5, &[(0, 0, "list/last")]);
    assert_eq!(log.redact(&a, 4.into(), vec![last], everything).await, Ok(7));
    assert_eq!(stored(&log, Some(&a)).await, expected(&[(5, 0, "list/last")]));
    assert_eq!(
        stored(&log, Some(&b)).await.len(),
        3,
        "forwards of another topic with the same seqs were removed"
    );
}
