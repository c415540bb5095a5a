//! What a log keeps of refusals, and of the ids whose answers it no longer keeps. Part of the contract.

use std::sync::Arc;

use duplex::server::limits;
use duplex_hub::log::{Log, Refused};

use super::*;

type AnyLog = Arc<dyn Log>;

pub async fn rejections_are_stored_with_the_answers(log: AnyLog) {
    let lobby = topic(LOBBY);
    let refused = [
        rejection_entry(command(2), 2, "no"),
        said(3),
        rejection_entry(CommandId::at(9, 4), 4, "가"),
    ];
    assert_eq!(
        log.append(&lobby, 0.into(), [vec![said(1)], refused.to_vec()].concat())
            .await,
        Ok(2)
    );
    let opened = log.open(&lobby, 9, 0).await.unwrap();
    assert_eq!(opened.commands, [answered(1, 1), answered(3, 2)]);
    let told = |command, why: &str| Refused {
        by: somebody(),
        command,
        why: Rejection::refused(why),
    };
    assert_eq!(
        opened.refusals,
        [told(command(2), "no"), told(CommandId::at(9, 4), "가")]
    );
    assert_eq!((opened.forgotten, opened.head.last), (None, 2));
    // Ids without a time have a window; the others have none.
    let opened = log.open(&lobby, 9, 1_004).await.unwrap();
    assert_eq!(
        (opened.commands, opened.refusals),
        (vec![], vec![told(CommandId::at(9, 4), "가")])
    );
    assert_eq!(
        log.open(&lobby, 1, 0).await.unwrap().refusals,
        [told(CommandId::at(9, 4), "가")]
    );
    // An append to an old state keeps no refusal either.
    assert_eq!(
        log.append(&lobby, 0.into(), vec![rejection_entry(command(7), 7, "no")])
            .await,
        conflict(0, 2)
    );
    assert_eq!(log.open(&lobby, 9, 0).await.unwrap().refusals.len(), 2);
}

pub async fn removed_answers_leave_their_time(log: AnyLog) {
    let lobby = topic(LOBBY);
    let day = limits::KEPT_ANSWERS_AGE.as_millis() as u64;
    let timed = |time, at| Entry {
        command: CommandId::at(time, 1),
        ..entry(1, at, vec![event("x")])
    };
    let entries = vec![timed(500, 1_000), timed(300, 1_001), timed(900, 2_000)];
    assert_eq!(log.append(&lobby, 0.into(), entries).await, Ok(3));
    let forgotten = async || log.open(&lobby, 99, 0).await.unwrap().forgotten;
    assert_eq!(log.snapshot(&lobby, 3, vec![], ALL, 1_000 + day).await, Ok(()));
    assert_eq!(forgotten().await, None);
    assert_eq!(log.snapshot(&lobby, 3, vec![], ALL, 1_002 + day).await, Ok(()));
    assert_eq!(forgotten().await, Some(500));
    // A clock that was set back takes nothing of that away, nor does what is older.
    assert_eq!(log.snapshot(&lobby, 3, vec![], ALL, 1).await, Ok(()));
    assert_eq!(log.append(&lobby, 3.into(), vec![timed(400, 1)]).await, Ok(4));
    assert_eq!(log.snapshot(&lobby, 4, vec![], ALL, 3 * day).await, Ok(()));
    assert_eq!(forgotten().await, Some(900));
    // Refusals go when others come.
    let refused = |time, at| rejection_entry(CommandId::at(time, 1), at, "no");
    let entries = vec![refused(1_500, 4 * day), refused(1_200, 6 * day)];
    assert_eq!(log.append(&lobby, 4.into(), entries).await, Ok(4));
    assert_eq!(forgotten().await, Some(1_500));
}

pub async fn omitted_answers_leave_their_time(log: AnyLog) {
    let lobby = topic(LOBBY);
    let timed = |time| Entry {
        command: CommandId::at(time, 1),
        ..said(1)
    };
    let refused = |time| rejection_entry(CommandId::at(time, 1), 1, "no");
    let entries = vec![timed(10), timed(30), timed(20), refused(15), refused(5)];
    assert_eq!(log.append(&lobby, 0.into(), entries).await, Ok(3));
    let forgotten = async |most| log.open(&lobby, most, 0).await.unwrap().forgotten;
    assert_eq!([forgotten(3).await, forgotten(2).await], [None, Some(10)]);
    assert_eq!([forgotten(1).await, forgotten(0).await], [Some(30), Some(30)]);
}
