//! The log's file: permissions, versions, size limits, and remnants of overwritten data.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use duplex_hub::log::sqlite::{OpenError, SqliteLog, restore, verify};
use duplex_hub::log::{Log, LogError};
use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::tempdir;

use super::*;

const VERSION_1: &str = include_str!("../../../crates/hub/src/log/sqlite/version_1.sql");
/// The rows that a server of version 1 wrote.
const VERSION_1_ROWS: &str = r#"
    PRAGMA application_id = 1148218488;
    PRAGMA user_version = 1;
    INSERT INTO topics VALUES (1, 'chat/lobby', 2, 2);
    INSERT INTO events VALUES (1, 1, 1001, NULL, '{"said":"one"}'), (1, 2, 1002, 1, '{"said":"two"}');
    INSERT INTO answers VALUES
        (1, 1, '00000000000000000000000000000001', '0123456789abcdef', 1, 1001),
        (1, 2, '00000000000000000000000000000002', '0123456789abcdef', 2, 1002);
    INSERT INTO snapshots VALUES (1, 1, X'7b7d');
"#;

pub fn write_version_1(path: &Path) {
    let old = Connection::open(path).unwrap();
    old.pragma_update(None, "journal_mode", "wal").unwrap();
    old.execute_batch(VERSION_1).unwrap();
    old.execute_batch(VERSION_1_ROWS).unwrap();
    old.close().unwrap();
}

fn version(path: &Path) -> u32 {
    let file = Connection::open(path).unwrap();
    file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn key(log: &SqliteLog) -> [u8; 16] {
    log.secret().mac("test", "")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_linked_sqlite_has_no_known_corruption() {
    let version = rusqlite::version_number();
    assert!(
        version >= 3_051_003,
        "{}: this version may corrupt the file when it resets the WAL",
        rusqlite::version()
    );
}

#[tokio::test]
async fn a_version_1_file_is_upgraded() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    write_version_1(&path);
    assert_eq!(verify(&path).unwrap().topics, 1, "verify changed the file");
    assert_eq!(version(&path), 1);
    let mut keys = Vec::new();
    for _ in 0..2 {
        let log = SqliteLog::open(&path).unwrap();
        let opened = log.open(&topic(LOBBY), 9, 0).await.unwrap();
        assert_eq!((opened.head.epoch.get(), opened.head.last), (7, 2));
        assert_eq!(opened.snapshot, Some((1, b"{}".to_vec())));
        assert_eq!(opened.commands, [answered(1, 1), answered(2, 2)]);
        assert_eq!(seqs(&all(&log, &topic(LOBBY)).await), [1, 2]);
        keys.push(key(&log));
        log.close().await;
    }
    assert_eq!(version(&path), 3);
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_version_1_file_is_restored_and_a_failed_upgrade_changes_nothing() {
    let dir = tempdir().unwrap();
    let [old, here] = ["old", "here"].map(|name| dir.path().join(name));
    write_version_1(&old);
    restore(&old, &here, false).unwrap();
    let log = SqliteLog::open(&here).unwrap();
    assert_eq!(seqs(&all(&log, &topic(LOBBY)).await), [1, 2]);
    assert_eq!(version(&old), 1);
    // An existing table makes the upgrade fail.
    let other = Connection::open(&old).unwrap();
    other.execute_batch("CREATE TABLE keyless (x)").unwrap();
    other.close().unwrap();
    assert!(matches!(SqliteLog::open(&old), Err(OpenError::Sqlite { .. })));
    assert_eq!(version(&old), 1);
    let epoch = Connection::open(&old).unwrap();
    assert_eq!(
        epoch.query_row("SELECT epoch FROM meta", (), |row| row.get::<_, u64>(0)),
        Ok(7)
    );
}

#[tokio::test]
async fn a_backup_carries_the_key() {
    let dir = tempdir().unwrap();
    let [here, copy, there, other] = ["here", "copy", "there", "other"].map(|name| dir.path().join(name));
    let log = SqliteLog::open(&here).unwrap();
    log.backup(&copy).await.unwrap();
    restore(&copy, &there, false).unwrap();
    assert_eq!(key(&SqliteLog::open(&there).unwrap()), key(&log));
    assert_ne!(key(&SqliteLog::open(&other).unwrap()), key(&log));
    assert_eq!(format!("{:?}", log.secret()), "LogSecret");
}

#[tokio::test]
async fn all_files_are_readable_by_the_owner_only() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("data/log");
    let log = SqliteLog::open(&path).unwrap();
    append_messages(&log, &topic(LOBBY), 0, 3).await;
    all(&log, &topic(LOBBY)).await;
    let copy = dir.path().join("data/copy");
    log.backup(&copy).await.unwrap();
    log.close().await;
    drop(log);
    fs::set_permissions(&copy, Permissions::from_mode(0o644)).unwrap();
    restore(&copy, &path, true).unwrap();
    for part in [&path, &dir.path().join("data/log.lock")] {
        fs::set_permissions(part, Permissions::from_mode(0o644)).unwrap();
    }
    let log = SqliteLog::open(&path).unwrap();
    append_messages(&log, &topic(LOBBY), 3, 1).await;
    all(&log, &topic(LOBBY)).await;
    log.backup(&dir.path().join("data/second")).await.unwrap();
    let files: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(
        files.iter().any(|file| file.to_string_lossy().ends_with("log-wal")),
        "{files:?}"
    );
    for file in files.iter().filter(|file| **file != copy) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

/// The files in the directory that contain `text`.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let holds = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    };
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| holds(path))
        .map(|path| path.display().to_string())
        .collect()
}

#[tokio::test]
async fn no_file_contains_redacted_bytes() {
    const SECRET: &str = "redacted-secret-text";
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    let log = SqliteLog::open(&path).unwrap();
    let lobby = topic(LOBBY);
    append_messages(&log, &lobby, 0, 200).await;
    // One event that shares a page with others, one that spans several pages, and an amendment.
    let texts = [SECRET.to_owned(), SECRET.repeat(1000), SECRET.to_owned()];
    let events = vec![event(&texts[0]), event(&texts[1]), (Some(201), event(&texts[2]).1)];
    assert_eq!(
        log.append(&lobby, 200.into(), vec![entry(201, 1, events)]).await,
        Ok(203)
    );
    append_messages(&log, &lobby, 203, 200).await;
    log.snapshot(&lobby, 403, SECRET.repeat(500).into_bytes(), ALL, 0)
        .await
        .unwrap();
    assert_ne!(files_with(dir.path(), SECRET), [""; 0]);
    let redaction = payloads(&[(201, ""), (202, ""), (203, "")]);
    assert_eq!(
        log.redact(&lobby, 403.into(), vec![message_entry(404)], redaction)
            .await,
        Ok(404)
    );
    assert_eq!(files_with(dir.path(), SECRET), [""; 0]);
    log.backup(&dir.path().join("copy")).await.unwrap();
    log.close().await;
    assert_eq!(files_with(dir.path(), SECRET), [""; 0]);
    assert_eq!(all(&reopen(&path), &lobby).await.len(), 404);
}

fn reopen(path: &Path) -> SqliteLog {
    SqliteLog::open(path).unwrap()
}

#[tokio::test]
async fn the_wal_is_truncated_after_the_last_reader() {
    const SECRET: &str = "redacted-secret-text";
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    let log = SqliteLog::open(&path).unwrap();
    let lobby = topic(LOBBY);
    assert_eq!(
        log.append(&lobby, 0.into(), vec![entry(1, 1, vec![event(SECRET)])])
            .await,
        Ok(1)
    );
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM events").unwrap();
    assert_eq!(
        log.redact(&lobby, 1.into(), vec![message_entry(2)], payloads(&[(1, "")]))
            .await,
        Ok(2)
    );
    assert_ne!(
        files_with(dir.path(), SECRET),
        [""; 0],
        "the reader's snapshot still needs the old pages"
    );
    assert_eq!(
        log.append(&lobby, 2.into(), vec![message_entry(3)]).await,
        Ok(3),
        "an append waited for the reader"
    );
    reader.close().unwrap();
    crate::harness::wait_until(async || files_with(dir.path(), SECRET).is_empty()).await;
}

#[tokio::test]
async fn redacted_bytes_in_a_killed_servers_wal_are_removed_at_the_next_open() {
    const SECRET: &str = "redacted-secret-text";
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    let log = SqliteLog::open(&path).unwrap();
    let lobby = topic(LOBBY);
    assert_eq!(
        log.append(&lobby, 0.into(), vec![entry(1, 1, vec![event(SECRET)])])
            .await,
        Ok(1)
    );
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM events").unwrap();
    assert_eq!(
        log.redact(&lobby, 1.into(), vec![message_entry(2)], payloads(&[(1, "")]))
            .await,
        Ok(2)
    );
    // A copy of the files, as a killed process leaves them.
    let killed = tempdir().unwrap();
    for part in ["log", "log-wal"] {
        fs::copy(dir.path().join(part), killed.path().join(part)).unwrap();
    }
    assert_ne!(files_with(killed.path(), SECRET), [""; 0]);
    let reopened = SqliteLog::open(&killed.path().join("log")).unwrap();
    assert_eq!(files_with(killed.path(), SECRET), [""; 0]);
    assert_eq!(seqs(&all(&reopened, &lobby).await), [1, 2]);
}

fn large(number: u128) -> Entry {
    entry(number, 1, vec![event(&"x".repeat(20_000))])
}

/// Appends until the log is full; returns the number of stored events.
async fn fill(log: &SqliteLog, lobby: &TopicName) -> Seq {
    let last = log.open(lobby, 0, 0).await.unwrap().head.last;
    for seq in last..last + 1000 {
        match log.append(lobby, seq.into(), vec![large(seq.into())]).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, LogError::Full);
                return seq - last;
            }
        }
    }
    panic!("never full")
}

#[tokio::test]
async fn a_log_stays_within_its_size_limit_and_resumes_when_there_is_space() {
    const LIMIT: u64 = 2 << 20;
    let dir = tempdir().unwrap();
    let log = SqliteLog::open(&dir.path().join("log"))
        .unwrap()
        .with_size_limit(LIMIT, 0);
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    append_messages(&log, &other, 0, 1).await;
    let stored = fill(&log, &lobby).await;
    assert!(stored > 20, "{stored}");
    let stats = log.stats().await.unwrap();
    assert_eq!(stats.max_bytes, Some(LIMIT));
    assert!(stats.bytes <= LIMIT + limits_margin(), "{stats:?}");
    let all_full = join_all([
        log.append(&other, 1.into(), vec![large(1)]),
        log.append(&lobby, stored.into(), vec![large(2)]),
    ])
    .await;
    assert_eq!(all_full, [Err(LogError::Full), Err(LogError::Full)]);
    // Reads, redactions and snapshots still work; they free space.
    assert_eq!(seqs(&all(&log, &other).await), [1]);
    assert_eq!(
        log.redact(&other, 1.into(), vec![message_entry(2)], payloads(&[(1, "")]))
            .await,
        Ok(2)
    );
    assert_eq!(log.snapshot(&lobby, stored, vec![], newest(1), 0).await, Ok(()));
    assert!(fill(&log, &lobby).await > 20, "no space was freed");
    assert!(log.stats().await.unwrap().bytes <= LIMIT + limits_margin());
}

/// The size of the WAL of operations that a full log still accepts.
const fn limits_margin() -> u64 {
    512 << 10
}

#[tokio::test]
async fn an_almost_full_disk_rejects_appends() {
    let dir = tempdir().unwrap();
    let log = Arc::new(
        SqliteLog::open(&dir.path().join("log"))
            .unwrap()
            .with_size_limit(u64::MAX, u64::MAX),
    );
    let lobby = topic(LOBBY);
    assert_eq!(
        log.append(&lobby, 0.into(), vec![message_entry(1)]).await,
        Err(LogError::Full)
    );
    assert_eq!(
        log.redact(&lobby, 0.into(), vec![message_entry(1)], payloads(&[]))
            .await,
        Ok(1)
    );
    assert_eq!(log.snapshot(&lobby, 1, vec![], newest(1), 0).await, Ok(()));
    assert_eq!(log.stats().await.unwrap().max_bytes, None);
}
