//! The SQLite log: the contract, locking, damaged files, full disks and `kill -9`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use duplex_hub::log::sqlite::{BackupError, OpenError, SqliteLog};
use duplex_hub::log::{Log, LogError};
use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use super::*;

fn new_log() -> (Arc<dyn Log>, TempDir) {
    let (log, dir) = fresh();
    (Arc::new(log), dir)
}

fn fresh() -> (SqliteLog, TempDir) {
    let dir = tempdir().unwrap();
    (SqliteLog::open(&file(&dir)).unwrap(), dir)
}

/// A path in a directory that does not exist yet.
fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("data/duplex.log")
}

contract_tests!(new_log());

#[tokio::test]
async fn a_reopened_log_is_unchanged() {
    let (log, dir) = fresh();
    let lobby = topic(LOBBY);
    append_messages(&log, &lobby, 0, 20).await;
    log.snapshot(&lobby, 15, b"state".to_vec(), newest(12), 0)
        .await
        .unwrap();
    let (opened, records) = (log.open(&lobby, 99, 0).await, all(&log, &lobby).await);
    assert_eq!(records.len(), 12);
    log.close().await;
    for closed in [true, false] {
        let log = SqliteLog::open(&file(&dir)).unwrap();
        assert_eq!(log.open(&lobby, 99, 0).await, opened, "closed: {closed}");
        assert_eq!(all(&log, &lobby).await, records);
        // The log is dropped without a close.
    }
    let other = fresh();
    let epoch = other.0.open(&lobby, 0, 0).await.unwrap().head.epoch;
    assert_ne!(epoch, opened.unwrap().head.epoch);
}

#[tokio::test]
async fn a_closed_log_returns_unavailable() {
    let (log, dir) = fresh();
    let lobby = topic(LOBBY);
    log.close().await;
    // The file is unlocked although the closed log still exists.
    let reopened = SqliteLog::open(&file(&dir)).unwrap();
    append_messages(&reopened, &lobby, 0, 1).await;
    assert!(matches!(
        log.append(&lobby, 1.into(), vec![message_entry(1)]).await,
        Err(LogError::Unavailable(_))
    ));
    assert!(matches!(log.read(&lobby, 0, 1).await, Err(LogError::Unavailable(_))));
    assert!(matches!(
        log.backup(&dir.path().join("copy")).await,
        Err(BackupError::Log(_))
    ));
}

#[tokio::test]
async fn concurrent_appends_share_commits() {
    let (log, _dir) = fresh();
    contract::assert_concurrent_appends_share_commits(&log).await;
}

#[tokio::test]
async fn a_conflict_does_not_affect_other_appends_of_its_commit() {
    let (log, _dir) = fresh();
    let names: Vec<_> = (0..40).map(|n| topic(&format!("chat/{n}"))).collect();
    let appends = names
        .iter()
        .zip(0..)
        .map(|(name, n)| log.append(name, (n % 2).into(), vec![message_entry(1)]));
    for (n, result) in join_all(appends).await.into_iter().enumerate() {
        assert_eq!(result, if n % 2 == 0 { Ok(1) } else { conflict(1, 0) });
    }
    assert_eq!(log.topics("chat").await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_full_disk_is_reported_and_recovers() {
    let (log, _dir) = fresh();
    let (lobby, other) = (topic(LOBBY), topic("chat/other"));
    append_messages(&log, &lobby, 0, 3).await;
    log.set_max_pages(1).await.unwrap();
    let large = |number| {
        entry(
            number,
            1,
            vec![(None, format!("\"{}\"", "x".repeat(100_000)).into_bytes())],
        )
    };
    let results = join_all([
        log.append(&lobby, 3.into(), vec![message_entry(4), large(5)]),
        log.append(&other, 0.into(), vec![large(6)]),
    ])
    .await;
    assert_eq!(results, [Err(LogError::Full), Err(LogError::Full)]);
    assert_eq!(
        log.snapshot(&lobby, 3, vec![0; 100_000], ALL, 0).await,
        Err(LogError::Full)
    );
    assert_eq!(seqs(&all(&log, &lobby).await), [1, 2, 3]);
    assert_eq!(log.open(&lobby, 9, 0).await.unwrap().commands.len(), 3);
    log.set_max_pages(u32::MAX >> 1).await.unwrap();
    assert_eq!(
        log.append(&lobby, 3.into(), vec![message_entry(4), large(5)]).await,
        Ok(5)
    );
    assert_eq!(log.append(&other, 0.into(), vec![large(6)]).await, Ok(1));
}

/// `unshare -m sh -c 'mount -t tmpfs -o size=3m tmpfs /mnt && LOG_ON_A_SMALL_DISK=/mnt cargo test …'`
#[tokio::test]
#[ignore = "needs a disk that it may fill"]
async fn a_really_full_disk_is_reported_and_recovers() {
    let Ok(disk) = std::env::var("LOG_ON_A_SMALL_DISK") else {
        return;
    };
    let (ballast, path) = (Path::new(&disk).join("ballast"), Path::new(&disk).join("log"));
    fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let log = SqliteLog::open(&path).unwrap();
    let lobby = topic(LOBBY);
    let append = async |seq: Seq| {
        let event = (None, format!("\"{}\"", "x".repeat(5000)).into_bytes());
        log.append(&lobby, seq.into(), vec![entry(seq.into(), 1, vec![event])])
            .await
    };
    let mut last = 0;
    let error = loop {
        match append(last).await {
            Ok(seq) => last = seq,
            Err(error) => break error,
        }
    };
    assert_eq!(error, LogError::Full);
    assert_eq!(append(last).await, Err(LogError::Full));
    assert_eq!(all(&log, &lobby).await.len() as u64, last);
    fs::remove_file(ballast).unwrap();
    assert_eq!(append(last).await, Ok(last + 1));
    drop(log);
    let log = SqliteLog::open(&path).unwrap();
    assert_eq!(seqs(&all(&log, &lobby).await), (1..=last + 1).collect::<Vec<_>>());
    println!("full after {last} appends");
}

/// The error of opening a file, which must not change the file.
fn open_error(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = SqliteLog::open(path).err().unwrap();
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error
}

#[tokio::test]
async fn a_locked_file_is_rejected() {
    let (log, dir) = fresh();
    assert!(matches!(open_error(&file(&dir)), OpenError::Locked(_)));
    log.close().await;
    SqliteLog::open(&file(&dir)).unwrap();
}

#[tokio::test]
async fn a_foreign_file_is_rejected() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("notes");
    for bytes in [&b""[..], b"x", &[0xa5; 10_000]] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(open_error(&path), OpenError::Foreign(_)));
    }
    let path = dir.path().join("other.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE events (id)")
        .unwrap();
    assert!(matches!(open_error(&path), OpenError::Foreign(_)));
    assert!(matches!(
        SqliteLog::open(dir.path()),
        Err(OpenError::Io { .. } | OpenError::Sqlite { .. })
    ));
}

#[tokio::test]
async fn a_newer_file_version_is_rejected() {
    let (log, dir) = fresh();
    log.close().await;
    let other = Connection::open(file(&dir)).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    other.close().unwrap();
    assert!(matches!(open_error(&file(&dir)), OpenError::Newer { version: 99, .. }));
}

#[tokio::test]
async fn a_damaged_file_is_rejected() {
    let (log, dir) = fresh();
    for n in 0..20 {
        append_messages(&log, &topic(&format!("chat/{n}")), 0, 20).await;
    }
    log.close().await;
    let intact = fs::read(file(&dir)).unwrap();
    assert!(intact.len() > 40_000);
    let mut torn = intact.clone();
    torn[20_000..30_000].fill(0xff);
    for bytes in [&torn[..], &intact[..intact.len() / 2]] {
        fs::write(file(&dir), bytes).unwrap();
        assert!(matches!(open_error(&file(&dir)), OpenError::Damaged { .. }));
    }
    fs::write(file(&dir), intact).unwrap();
    SqliteLog::open(&file(&dir)).unwrap();
}

#[tokio::test]
async fn a_wal_without_its_database_is_preserved() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(dir.path().join("log-wal"), b"commits").unwrap();
    assert!(matches!(SqliteLog::open(&path), Err(OpenError::Damaged { .. })));
    assert_eq!(fs::read(dir.path().join("log-wal")).unwrap(), b"commits");
}

#[tokio::test]
async fn a_backup_is_complete_and_has_its_own_epoch() {
    let (log, dir) = fresh();
    let lobby = topic(LOBBY);
    append_messages(&log, &lobby, 0, 30).await;
    log.snapshot(&lobby, 20, b"state".to_vec(), newest(20), 0)
        .await
        .unwrap();
    let copy = dir.path().join("copy");
    log.backup(&copy).await.unwrap();
    append_messages(&log, &lobby, 30, 1).await;
    let opened = SqliteLog::open(&copy).unwrap();
    let (ours, theirs) = (
        log.open(&lobby, 99, 0).await.unwrap(),
        opened.open(&lobby, 99, 0).await.unwrap(),
    );
    assert_ne!(ours.head.epoch, theirs.head.epoch);
    assert_eq!((ours.head.last, theirs.head.last), (31, 30));
    assert_eq!(
        (&ours.snapshot, &ours.commands[..30]),
        (&theirs.snapshot, &theirs.commands[..])
    );
    assert_eq!(all(&log, &lobby).await[..20], all(&opened, &lobby).await);
    assert!(matches!(log.backup(&copy).await, Err(BackupError::Exists)));
    let missing_dir = dir.path().join("no/directory/copy");
    assert!(matches!(log.backup(&missing_dir).await, Err(BackupError::Io(_))));
    assert!(!dir.path().join("copy.partial").exists());
}

/// The process that the test below starts and kills: appends forever and prints each acknowledged seq.
#[tokio::test]
#[ignore = "a process that another test starts and kills"]
async fn append_until_killed() {
    let Ok(path) = std::env::var("LOG_TO_APPEND_TO") else {
        return;
    };
    let log = SqliteLog::open(Path::new(&path)).unwrap();
    for seq in 1.. {
        let appended = log
            .append(&topic(LOBBY), (seq - 1).into(), vec![message_entry(seq.into())])
            .await;
        assert_eq!(appended, Ok(seq));
        println!("\nanswered {seq}");
    }
}

fn appending_process(path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "log::sqlite::append_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("LOG_TO_APPEND_TO", path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn answers(line: &str) -> Option<Seq> {
    line.strip_prefix("answered ")?.parse().ok()
}

#[tokio::test]
async fn acknowledged_appends_survive_a_kill() {
    let dir = tempdir().unwrap();
    let (mut child, output) = appending_process(&file(&dir));
    let mut lines = output.lines().map(Result::unwrap);
    lines.by_ref().find(|line| answers(line) >= Some(50)).unwrap();
    let locked = SqliteLog::open(&file(&dir)).err();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(locked, Some(OpenError::Locked(_))), "{locked:?}");
    let answered = lines.filter_map(|line| answers(&line)).last().unwrap_or(50);
    let log = SqliteLog::open(&file(&dir)).unwrap();
    let records = all(&log, &topic(LOBBY)).await;
    assert!(records.len() as u64 >= answered);
    assert_eq!(seqs(&records), (1..=records.len() as u64).collect::<Vec<_>>());
}

/// `cargo test --test server log::sqlite::throughput -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    let (log, dir) = fresh();
    println!("in {}", dir.path().display());
    cost::throughput(&log).await;
}
