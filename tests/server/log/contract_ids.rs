//! Contract of the log: stored rejections, and `forgotten`, the newest timestamp of removed ids.

use std::sync::Arc;

use duplex::server::limits;
use duplex_hub::log::{Log, RejectedCommand};

use super::*;

type AnyLog = Arc<dyn Log>;

pub async fn rejections_are_stored_with_the_answers(log: AnyLog) {
    let lobby = topic(LOBBY);
    let entries = [
        rejection_entry(command(2), 2, "no"),
        message_entry(3),
        rejection_entry(CommandId::from_time(9, 4), 4, "가"),
    ];
    assert_eq!(
        log.append(&lobby, 0.into(), [vec![message_entry(1)], entries.to_vec()].concat())
            .await,
        Ok(2)
    );
    let opened = log.open(&lobby, 9, 0).await.unwrap();
    assert_eq!(opened.commands, [answered(1, 1), answered(3, 2)]);
    let rejection = |command, why: &str| RejectedCommand {
        sender: sender(),
        command,
        rejection: Rejection::custom(why),
    };
    assert_eq!(
        opened.rejections,
        [rejection(command(2), "no"), rejection(CommandId::from_time(9, 4), "가")]
    );
    assert_eq!((opened.forgotten, opened.head.last), (None, 2));
    // The window applies to ids without a time only.
    let opened = log.open(&lobby, 9, 1_004).await.unwrap();
    assert_eq!(
        (opened.commands, opened.rejections),
        (vec![], vec![rejection(CommandId::from_time(9, 4), "가")])
    );
    assert_eq!(
        log.open(&lobby, 1, 0).await.unwrap().rejections,
        [rejection(CommandId::from_time(9, 4), "가")]
    );
    // An append to an old state stores no rejection either.
    assert_eq!(
        log.append(&lobby, 0.into(), vec![rejection_entry(command(7), 7, "no")])
            .await,
        conflict(0, 2)
    );
    assert_eq!(log.open(&lobby, 9, 0).await.unwrap().rejections.len(), 2);
}

pub async fn removing_answers_raises_forgotten(log: AnyLog) {
    let lobby = topic(LOBBY);
    let day = limits::DEDUPE_AGE.as_millis() as u64;
    let timed = |time, at| Entry {
        command: CommandId::from_time(time, 1),
        ..entry(1, at, vec![event("x")])
    };
    let entries = vec![timed(500, 1_000), timed(300, 1_001), timed(900, 2_000)];
    assert_eq!(log.append(&lobby, 0.into(), entries).await, Ok(3));
    let forgotten = async || log.open(&lobby, 99, 0).await.unwrap().forgotten;
    assert_eq!(log.snapshot(&lobby, 3, vec![], ALL, 1_000 + day).await, Ok(()));
    assert_eq!(forgotten().await, None);
    assert_eq!(log.snapshot(&lobby, 3, vec![], ALL, 1_002 + day).await, Ok(()));
    assert_eq!(forgotten().await, Some(500));
    // Neither a clock that was set back nor older entries lower the time.
    assert_eq!(log.snapshot(&lobby, 3, vec![], ALL, 1).await, Ok(()));
    assert_eq!(log.append(&lobby, 3.into(), vec![timed(400, 1)]).await, Ok(4));
    assert_eq!(log.snapshot(&lobby, 4, vec![], ALL, 3 * day).await, Ok(()));
    assert_eq!(forgotten().await, Some(900));
    // Expired rejections are removed by later appends.
    let rejected = |time, at| rejection_entry(CommandId::from_time(time, 1), at, "no");
    let entries = vec![rejected(1_500, 4 * day), rejected(1_200, 6 * day)];
    assert_eq!(log.append(&lobby, 4.into(), entries).await, Ok(4));
    assert_eq!(forgotten().await, Some(1_500));
}

pub async fn omitting_answers_raises_forgotten(log: AnyLog) {
    let lobby = topic(LOBBY);
    let timed = |time| Entry {
        command: CommandId::from_time(time, 1),
        ..message_entry(1)
    };
    let rejected = |time| rejection_entry(CommandId::from_time(time, 1), 1, "no");
    let entries = vec![timed(10), timed(30), timed(20), rejected(15), rejected(5)];
    assert_eq!(log.append(&lobby, 0.into(), entries).await, Ok(3));
    let forgotten = async |limit| log.open(&lobby, limit, 0).await.unwrap().forgotten;
    assert_eq!([forgotten(3).await, forgotten(2).await], [None, Some(10)]);
    assert_eq!([forgotten(1).await, forgotten(0).await], [Some(30), Some(30)]);
}
