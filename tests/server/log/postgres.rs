//! The PostgreSQL log: the contract, group commits, conflicts between nodes, and several nodes that start at once.

use std::sync::Arc;

use duplex_hub::log::postgres::{OpenError, PostgresConfig, PostgresLog};
use duplex_hub::log::{Log, LogError};
use futures_util::future::join_all;

use super::*;
use crate::harness::postgres::{Cluster, Database};
use crate::harness::tls::CertificateAuthority;

async fn new_log() -> (Arc<dyn Log>, Database) {
    let (log, database) = fresh().await;
    (Arc::new(log), database)
}

async fn fresh() -> (PostgresLog, Database) {
    let database = Cluster::shared().database();
    (open(&database).await, database)
}

async fn open(database: &Database) -> PostgresLog {
    PostgresLog::open(database.url.parse().unwrap()).await.unwrap()
}

contract_tests!(new_log().await);
contract_tests!(shared new_log().await);

#[tokio::test]
async fn a_reopened_log_is_unchanged() {
    let (log, database) = fresh().await;
    let lobby = topic(LOBBY);
    append_messages(&log, &lobby, 0, 20).await;
    log.snapshot(&lobby, 15, b"state".to_vec(), newest(12), 0)
        .await
        .unwrap();
    let (opened, records) = (log.open(&lobby, 99, 0).await, all(&log, &lobby).await);
    assert_eq!(records.len(), 12);
    log.close().await;
    assert!(matches!(
        log.append(&lobby, 20.into(), vec![message_entry(1)]).await,
        Err(LogError::Unavailable(_))
    ));
    assert!(matches!(log.read(&lobby, 0, 1).await, Err(LogError::Unavailable(_))));
    let reopened = open(&database).await;
    assert_eq!(reopened.open(&lobby, 99, 0).await, opened);
    assert_eq!(all(&reopened, &lobby).await, records);
    assert_eq!(reopened.secret().bytes(), log.secret().bytes());
}

#[tokio::test]
async fn concurrent_appends_share_commits() {
    let (log, _database) = fresh().await;
    contract::assert_concurrent_appends_share_commits(&log).await;
}

#[tokio::test]
async fn a_conflict_or_an_unstorable_event_does_not_affect_other_appends_of_its_commit() {
    let (log, _database) = fresh().await;
    let names: Vec<_> = (0..40).map(|n| topic(&format!("chat/{n}"))).collect();
    let appends = names.iter().zip(0..).map(|(name, n)| {
        let entries = match n % 3 {
            2 => vec![message_entry(1), entry(2, 1, vec![(None, b"\"\0\"".to_vec())])],
            _ => vec![message_entry(1)],
        };
        log.append(name, (n % 3 % 2).into(), entries)
    });
    for (n, result) in join_all(appends).await.into_iter().enumerate() {
        match n % 3 {
            0 => assert_eq!(result, Ok(1)),
            1 => assert_eq!(result, conflict(1, 0)),
            _ => assert!(matches!(result, Err(LogError::Unavailable(_)))),
        }
    }
    assert_eq!(log.topics("chat").await.unwrap().len(), 14);
    assert!(log.writer_stats().commits < 10);
}

/// Writers on several nodes append to a few topics, each at the end that it read. Every append is stored once, and all conflicts
/// are reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_several_nodes_are_serialized() {
    const NODES: u128 = 3;
    const APPENDS: u128 = 40;
    let (first, database) = fresh().await;
    let first = Arc::new(first);
    let topics = ["chat/a", "chat/b", "chat/c"].map(topic);
    let mut nodes = vec![first.clone()];
    for _ in 1..NODES {
        nodes.push(Arc::new(open(&database).await));
    }
    let writers = nodes.iter().zip(0..).flat_map(|(log, node)| {
        topics.iter().map(move |name| {
            let (log, name) = (log.clone(), name.clone());
            tokio::spawn(async move {
                let (mut last, mut conflicts) = (0, 0);
                for number in 0..APPENDS {
                    loop {
                        let entry = message_entry(node * APPENDS + number);
                        match log.append(&name, last.into(), vec![entry]).await {
                            Ok(seq) => break last = seq,
                            Err(LogError::Conflict { last: newest, .. }) => {
                                (last, conflicts) = (newest, conflicts + 1);
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                conflicts
            })
        })
    });
    let conflicts: u32 = join_all(writers).await.into_iter().map(Result::unwrap).sum();
    assert!(conflicts > 0, "the nodes never met");
    for name in &topics {
        let opened = first.open(name, usize::MAX, 0).await.unwrap();
        assert_eq!(u128::from(opened.head.last), NODES * APPENDS);
        let mut commands: Vec<_> = opened
            .commands
            .iter()
            .map(|answered| answered.command.clone())
            .collect();
        commands.sort();
        commands.dedup();
        assert_eq!(commands.len() as u128, NODES * APPENDS);
        assert_eq!(
            seqs(&all(&*first, name).await),
            (1..=opened.head.last).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_create_one_log() {
    let database = Cluster::shared().database();
    let opened = (0..6).map(|_| {
        let config = database.url.parse().unwrap();
        tokio::spawn(async move { PostgresLog::open(config).await.unwrap() })
    });
    let logs: Vec<_> = join_all(opened).await.into_iter().map(Result::unwrap).collect();
    let lobby = topic(LOBBY);
    let epoch = logs[0].open(&lobby, 0, 0).await.unwrap().head.epoch;
    for log in &logs {
        assert_eq!(log.open(&lobby, 0, 0).await.unwrap().head.epoch, epoch);
        assert_eq!(log.secret().bytes(), logs[0].secret().bytes());
    }
}

#[tokio::test]
async fn an_unusable_database_is_rejected() {
    let (log, database) = fresh().await;
    log.close().await;
    database.run("UPDATE duplex.meta SET version = 99");
    let error = |url: String| async move { PostgresLog::open(url.parse().unwrap()).await.err().unwrap() };
    assert!(matches!(
        error(database.url.clone()).await,
        OpenError::Newer { version: 99 }
    ));
    let missing = error(Cluster::shared().url("missing")).await.to_string();
    assert!(missing.contains("does not exist"), "{missing}");
    let port = Cluster::shared().port.to_string();
    let unreachable = error(database.url.replace(&port, "1")).await.to_string();
    assert!(unreachable.contains("refused"), "{unreachable}");
    assert_eq!([missing, unreachable].map(|text| text.lines().count()), [1, 1]);
}

/// `duplex` is the schema of a role that may not create schemas.
#[tokio::test]
async fn a_role_needs_no_rights_beyond_its_schema() {
    let database = Cluster::shared().database();
    database.run("DROP ROLE IF EXISTS tenant; CREATE ROLE tenant LOGIN; CREATE SCHEMA duplex AUTHORIZATION tenant");
    let url = database.url.replace("duplex@", "tenant@");
    let log = PostgresLog::open(url.parse().unwrap()).await.unwrap();
    append_messages(&log, &topic(LOBBY), 0, 2).await;
    log.close().await;
}

#[tokio::test]
async fn the_size_limit_rejects_appends() {
    let (log, _database) = fresh().await;
    let lobby = topic(LOBBY);
    append_messages(&log, &lobby, 0, 3).await;
    let log = log.with_size_limit(1 << 20);
    let stats = log.stats().await.unwrap();
    assert_eq!((stats.max_bytes, stats.kinds["chat"].events), (Some(1 << 20), 3));
    assert!(stats.bytes > 50_000 && stats.bytes < 1 << 20, "{stats:?}");
    let large = |number| {
        let text = format!("\"{}\"", "x".repeat(900_000));
        entry(number, 1, vec![(None, text.into_bytes())])
    };
    assert_eq!(log.append(&lobby, 3.into(), vec![large(4)]).await, Err(LogError::Full));
    append_messages(&log, &lobby, 3, 1).await;
    let redaction = payloads(&[(1, "")]);
    assert_eq!(log.redact(&lobby, 4.into(), vec![large(5)], redaction).await, Ok(5));
    assert_eq!(log.snapshot(&lobby, 5, vec![], ALL, 0).await, Ok(()));
}

#[tokio::test]
async fn a_connection_with_tls_verifies_the_server_and_shows_the_password() {
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let cluster = Cluster::start_with_tls(&authority);
    let database = cluster.database();
    let open = |parameters: String, password: Option<&'static str>| {
        let url = database.url.replace("duplex@127.0.0.1", "secret@localhost") + &parameters;
        let config: PostgresConfig = url.parse().unwrap();
        PostgresLog::open(config.with_password(password, None))
    };
    let trusting =
        |authority: &CertificateAuthority| format!("?sslrootcert={}", authority.root_certificate().display());
    let log = open(trusting(&authority), Some("a:b")).await.unwrap();
    append_messages(&log, &topic(LOBBY), 0, 1).await;
    let with_tls = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'secret'";
    assert_eq!(database.run(with_tls), "t");
    log.close().await;
    for (parameters, password, expected) in [
        (trusting(&authority), Some("wrong"), "password authentication failed"),
        (trusting(&authority), None, "password"),
        (trusting(&stranger), Some("a:b"), "certificate"),
        ("?sslmode=disable".to_owned(), Some("a:b"), "pg_hba.conf rejects"),
        ("?sslrootcert=/nonexistent".to_owned(), Some("a:b"), "sslrootcert"),
    ] {
        let error = open(parameters, password).await.err().unwrap().to_string();
        assert!(
            error.contains(expected) && !error.contains("a:b"),
            "{expected} in {error}"
        );
    }
}

/// `cargo test --test server log::postgres::throughput -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    let cluster = Cluster::start(&[]);
    let database = cluster.database();
    cost::throughput(&open(&database).await).await;
}
