//! What every log must do with forwards: a part of the contract.

use std::sync::Arc;

use duplex_hub::log::Undelivered;

use super::*;

type AnyLog = Arc<dyn Log>;

/// Three events, of which the first and the last are told to others.
fn telling(number: u128, to: &[(usize, u32, &str)]) -> Entry {
    let forwards = to.iter().map(|(event, index, to)| Forward {
        index: *index,
        ..forward(*event, to)
    });
    Entry {
        forwards: forwards.collect(),
        ..entry(number, 77, vec![event("a"), event("b"), event("c")])
    }
}

async fn kept(log: &AnyLog, from: Option<&TopicName>) -> Vec<(Seq, u32, String)> {
    let forwards = log.forwards(from).await.unwrap();
    let told = |one: Undelivered| (one.key.seq, one.key.index, one.to.to_string());
    forwards.into_iter().map(told).collect()
}

fn told(all: &[(Seq, u32, &str)]) -> Vec<(Seq, u32, String)> {
    all.iter().map(|(seq, n, to)| (*seq, *n, (*to).to_owned())).collect()
}

pub async fn forwards_are_stored_until_delivered(log: AnyLog) {
    let (a, b) = (topic("chat/a"), topic("chat/b"));
    assert_eq!(log.forwards(None).await, Ok(vec![]));
    let first = telling(1, &[(0, 0, "list/x"), (2, 0, "list/x"), (2, 1, "list/yy")]);
    assert_eq!(log.append(&b, 0.into(), vec![said(7), first]).await, Ok(4));
    assert_eq!(
        log.append(&a, 0.into(), vec![telling(2, &[(1, 0, "list/x")])]).await,
        Ok(3)
    );
    assert_eq!(
        log.append(&a, 9.into(), vec![telling(3, &[(1, 0, "list/x")])]).await,
        conflict(9, 3)
    );
    let of_b = told(&[(2, 0, "list/x"), (4, 0, "list/x"), (4, 1, "list/yy")]);
    assert_eq!(kept(&log, Some(&b)).await, of_b);
    assert_eq!(kept(&log, Some(&topic("chat/c"))).await, []);
    assert_eq!(kept(&log, None).await, [told(&[(2, 0, "list/x")]), of_b].concat());
    let whole = log.forwards(Some(&b)).await.unwrap().pop().unwrap();
    let expected = Undelivered {
        key: key(&b, 4, 1),
        to: topic("list/yy"),
        command: command(7),
        at: 77,
        payload: b"\"list/yy\"".to_vec(),
    };
    assert_eq!(whole, expected);
    let delivered = vec![key(&b, 4, 0), key(&b, 3, 0), key(&topic("chat/c"), 1, 0), key(&a, 2, 0)];
    for _ in 0..2 {
        assert_eq!(log.delivered(delivered.clone()).await, Ok(()));
        assert_eq!(kept(&log, None).await, told(&[(2, 0, "list/x"), (4, 1, "list/yy")]));
    }
    let keep = log.snapshot(&b, 4, b"state".to_vec(), newest(0), u64::MAX).await;
    assert_eq!(keep, Ok(()));
    assert_eq!(kept(&log, None).await.len(), 2, "retention leaves forwards alone");
}

pub async fn a_forward_is_removed_in_the_commit_of_its_effect(log: AnyLog) {
    let (a, list) = (topic("chat/a"), topic("list/x"));
    let both = telling(1, &[(0, 0, "list/x"), (1, 0, "list/x")]);
    assert_eq!(log.append(&a, 0.into(), vec![both]).await, Ok(3));
    let effect = |number, seq| Entry {
        delivers: Some(key(&a, seq, 0)),
        ..said(number)
    };
    assert_eq!(log.append(&list, 5.into(), vec![effect(2, 1)]).await, conflict(5, 0));
    assert_eq!(kept(&log, None).await.len(), 2, "it had no effect");
    assert_eq!(log.append(&list, 0.into(), vec![effect(2, 1)]).await, Ok(1));
    assert_eq!(kept(&log, None).await, told(&[(2, 0, "list/x")]));
    // As one that had its effect before.
    assert_eq!(log.append(&list, 1.into(), vec![effect(3, 1)]).await, Ok(2));
    let redacting = log
        .redact(&list, 2.into(), vec![effect(4, 2)], payloads(&[(1, "")]))
        .await;
    assert_eq!((redacting, kept(&log, None).await), (Ok(3), vec![]));
}

pub async fn erasing_events_removes_their_forwards(log: AnyLog) {
    let (a, b) = (topic("chat/a"), topic("chat/b"));
    for topic in [&a, &b] {
        let entries = vec![telling(1, &[(0, 0, "list/x"), (1, 0, "list/x"), (2, 0, "list/x")])];
        assert_eq!(log.append(topic, 0.into(), entries).await, Ok(3));
    }
    assert_eq!(
        log.redact(&a, 3.into(), vec![said(4)], payloads(&[(2, "")])).await,
        Ok(4)
    );
    assert_eq!(kept(&log, Some(&a)).await, told(&[(1, 0, "list/x"), (3, 0, "list/x")]));
    let everything = Redaction {
        erased: Erased::Before(5),
        state: b"after".to_vec(),
    };
    let last = telling(5, &[(0, 0, "list/last")]);
    assert_eq!(log.redact(&a, 4.into(), vec![last], everything).await, Ok(7));
    assert_eq!(kept(&log, Some(&a)).await, told(&[(5, 0, "list/last")]));
    assert_eq!(kept(&log, Some(&b)).await.len(), 3, "another topic has the same seqs");
}
