//! Moving a log between a file and a database.

use duplex_hub::log::postgres::PostgresLog;
use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::log::transfer::{TransferError, to_database, to_file};

use super::*;
use crate::harness::postgres::Cluster;

const NAMES: [&str; 3] = ["chat/lobby", "chat/b", "list/x"];

/// Fills a log with rows of every table, more than are copied at once, some of them redacted, removed and without a checksum.
async fn fill(log: &dyn Log) {
    let entries = (1..=2_500).map(message_entry).collect();
    assert_eq!(log.append(&topic(NAMES[0]), 0.into(), entries).await, Ok(2_500));
    let (name, at) = (topic(NAMES[1]), 1_000);
    let forwarding = Entry {
        forwards: vec![forward(0, "list/x"), forward(1, "list/yy")],
        ..entry(7, at, vec![event("가"), amendment(1)])
    };
    let rejected = rejection_entry(CommandId::from_time(at, 4), at, "no");
    log.append(&name, 0.into(), vec![message_entry(1), rejected, forwarding])
        .await
        .unwrap();
    log.redact(&name, 3.into(), vec![message_entry(8)], payloads(&[(1, "")]))
        .await
        .unwrap();
    log.snapshot(&topic(NAMES[0]), 2_400, b"\0\xff".to_vec(), newest(2_100), 0)
        .await
        .unwrap();
    append_messages(log, &topic(NAMES[2]), 0, 1).await;
}

async fn assert_same(one: &dyn Log, other: &dyn Log) {
    for name in NAMES.map(topic) {
        assert_eq!(
            one.open(&name, usize::MAX, 0).await,
            other.open(&name, usize::MAX, 0).await
        );
        assert_eq!(all(one, &name).await, all(other, &name).await);
        let first = one.open(&name, 0, 0).await.unwrap().head.first;
        assert_eq!(
            one.checksum(&name, first - 1).await,
            other.checksum(&name, first - 1).await
        );
    }
    assert_eq!(one.forwards(None).await, other.forwards(None).await);
    assert_eq!(one.forwards(None).await.unwrap().len(), 2);
    assert_eq!(one.secret().bytes(), other.secret().bytes());
}

#[tokio::test]
async fn a_log_moves_to_a_database_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let database = Cluster::shared().database();
    let config = || database.url.parse().unwrap();
    let missing = to_database(&at("missing"), config()).await;
    assert!(matches!(missing, Err(TransferError::NoLog(_))), "{missing:?}");
    assert!(matches!(
        to_file(config(), &at("empty")).await,
        Err(TransferError::NoLog(_))
    ));
    let file = SqliteLog::open(&at("log")).unwrap();
    fill(&file).await;
    assert!(matches!(
        to_database(&at("log"), config()).await,
        Err(TransferError::File(_))
    ));
    file.close().await;
    let report = to_database(&at("log"), config()).await.unwrap();
    assert_eq!((report.topics, report.events), (3, 2_100 + 4 + 1));
    let (file, stored) = (
        SqliteLog::open(&at("log")).unwrap(),
        PostgresLog::open(config()).await.unwrap(),
    );
    assert_same(&file, &stored).await;
    assert!(matches!(
        to_database(&at("log"), config()).await,
        Err(TransferError::File(_))
    ));
    // The log goes on: also with a topic that is new.
    append_messages(&stored, &topic(NAMES[0]), 2_500, 1).await;
    append_messages(&stored, &topic("chat/new"), 0, 1).await;
    stored.close().await;
    file.close().await;
    let again = to_database(&at("log"), config()).await;
    assert!(matches!(again, Err(TransferError::NotEmpty(_))), "{again:?}");
    assert!(matches!(
        to_file(config(), &at("log")).await,
        Err(TransferError::NotEmpty(_))
    ));
    let report = to_file(config(), &at("back")).await.unwrap();
    assert_eq!((report.topics, report.events), (4, 2_100 + 4 + 1 + 2));
    let (back, stored) = (
        SqliteLog::open(&at("back")).unwrap(),
        PostgresLog::open(config()).await.unwrap(),
    );
    assert_same(&back, &stored).await;
}

/// Text that the database cannot store: nothing is kept of the transfer.
#[tokio::test]
async fn a_failed_transfer_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let file = SqliteLog::open(&path).unwrap();
    append_messages(&file, &topic(LOBBY), 0, 3).await;
    let unstorable = entry(9, 1, vec![(None, b"\"\0\"".to_vec())]);
    file.append(&topic(LOBBY), 3.into(), vec![unstorable]).await.unwrap();
    file.close().await;
    let database = Cluster::shared().database();
    let moved = to_database(&path, database.url.parse().unwrap()).await;
    assert!(matches!(moved, Err(TransferError::Database(_))), "{moved:?}");
    assert_eq!(database.run("SELECT count(*) FROM duplex.topics, duplex.events"), "0");
}
