//! Crash tests: each operation is aborted at every failpoint. The next start must find the old log or the new one, with every
//! committed transaction, and a clean directory.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::{TempDir, tempdir};

use super::files::{self, tests::crash_after, with_suffix};
use super::{OpenError, backup_offline, database, restore};

/// Creates a log with topics as its content. Those in `journal` are committed but only in the WAL.
fn log(path: &Path, file: &[&str], journal: &[&str]) {
    drop(database::open(path).unwrap());
    let insert = |log: &Connection, name: &str| {
        log.execute("INSERT INTO topics (name, last, answers) VALUES (?1, 1, 0)", [name])
            .unwrap();
    };
    let log = Connection::open(path).unwrap();
    file.iter().for_each(|name| insert(&log, name));
    log.close().unwrap();
    if journal.is_empty() {
        return;
    }
    let log = Connection::open(path).unwrap();
    journal.iter().for_each(|name| insert(&log, name));
    // The files as a process that is killed now leaves them.
    let killed = tempdir().unwrap();
    let name = path.file_name().unwrap();
    for suffix in ["", "-wal"] {
        fs::copy(
            with_suffix(path, suffix),
            with_suffix(&killed.path().join(name), suffix),
        )
        .unwrap();
    }
    log.close().unwrap();
    for suffix in ["", "-wal"] {
        fs::copy(
            with_suffix(&killed.path().join(name), suffix),
            with_suffix(path, suffix),
        )
        .unwrap();
    }
    assert!(files::wal_bytes(path) > 0);
}

/// The topics found after opening the log.
fn content(path: &Path) -> Result<Vec<String>, OpenError> {
    let store = database::open(path)?;
    let mut query = store
        .connection
        .prepare("SELECT name FROM topics ORDER BY name")
        .unwrap();
    let names = query.query_map((), |row| row.get(0)).unwrap();
    Ok(names.map(Result::unwrap).collect())
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = names
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The files that a start leaves beside the log, except SQLite's files, the lock file, and the `known` ones.
fn leftovers(dir: &Path, known: &[&str]) -> Vec<String> {
    let own = ["log", "log-wal", "log-shm", "log.lock"];
    let mut names = names(dir);
    names.retain(|name| !own.contains(&name.as_str()) && !known.iter().any(|known| name.starts_with(known)));
    names
}

fn dir() -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    (dir, path)
}

/// Aborts `operation` at each of its failpoints in turn, each time in a new directory, then calls `verify`.
fn at_each_failpoint(setup: impl Fn(&Path), operation: impl Fn(&Path) -> bool, verify: impl Fn(&Path, bool)) {
    for count in 0.. {
        let (dir, path) = dir();
        setup(&path);
        let (succeeded, completed) = crash_after(count, || operation(&path));
        assert!(
            succeeded || !completed,
            "it failed although no failpoint fired ({count})"
        );
        verify(&path, succeeded);
        drop(dir);
        if completed {
            assert!(count > 2, "{count} operations are too few");
            return;
        }
    }
}

#[test]
fn an_interrupted_first_start_can_be_repeated() {
    at_each_failpoint(
        |_| {},
        |path| database::open(path).is_ok(),
        |path, _| {
            assert_eq!(content(path).unwrap(), [""; 0]);
            assert_eq!(leftovers(files::parent_dir(path), &[]), [""; 0]);
        },
    );
}

#[test]
fn an_interrupted_restore_leaves_the_old_log_or_the_new_one() {
    at_each_failpoint(
        |path| {
            log(path, &["old"], &["old, journal"]);
            log(&with_suffix(path, ".backup"), &["new"], &["new, journal"]);
        },
        |path| restore(&with_suffix(path, ".backup"), path, true).is_ok(),
        |path, done| {
            let (old, new) = (["old", "old, journal"], ["new", "new, journal"]);
            let found = content(path).unwrap();
            assert!(found == new || !done && found == old, "{found:?}");
            let known = ["log.backup", "log.replaced-"];
            assert_eq!(leftovers(files::parent_dir(path), &known), [""; 0]);
            let aside = names(files::parent_dir(path))
                .into_iter()
                .find(|name| name.starts_with("log.replaced-"));
            assert_eq!(aside.is_some(), found == new);
            // Undone from the log that was moved aside, and repeated from the same backup.
            if let Some(aside) = aside {
                let aside = files::parent_dir(path).join(&aside[.."log.replaced-".len() + 32]);
                restore(&aside, path, true).unwrap();
                assert_eq!(content(path).unwrap(), old);
            }
            restore(&with_suffix(path, ".backup"), path, true).unwrap();
            assert_eq!(content(path).unwrap(), new);
        },
    );
}

#[test]
fn a_restore_succeeds_after_an_interrupted_one_without_a_start_between() {
    at_each_failpoint(
        |path| {
            log(path, &["old"], &[]);
            log(&with_suffix(path, ".first"), &["first"], &["first, journal"]);
            log(&with_suffix(path, ".second"), &["second"], &[]);
        },
        |path| restore(&with_suffix(path, ".first"), path, true).is_ok(),
        |path, _| {
            restore(&with_suffix(path, ".second"), path, true).unwrap();
            assert_eq!(content(path).unwrap(), ["second"]);
            assert_eq!(
                leftovers(files::parent_dir(path), &["log.first", "log.second", "log.replaced-"]),
                [""; 0]
            );
        },
    );
}

#[test]
fn an_interrupted_backup_is_complete_or_missing_and_can_be_repeated() {
    at_each_failpoint(
        |path| log(path, &["kept"], &["kept, journal"]),
        |path| backup_offline(path, &with_suffix(path, ".backup")).is_ok(),
        |path, done| {
            let copy = with_suffix(path, ".backup");
            assert!(copy.exists() || !done);
            if !copy.exists() {
                backup_offline(path, &copy).unwrap();
            }
            let kept = ["kept", "kept, journal"];
            assert_eq!(content(&copy).unwrap(), kept);
            assert_eq!(content(path).unwrap(), kept);
            assert_eq!(leftovers(files::parent_dir(path), &["log.backup"]), [""; 0]);
        },
    );
}

/// The files as SQLite leaves them during an in-place change.
fn interrupted_change(path: &Path) {
    let change = Connection::open(path).unwrap();
    change.pragma_update(None, "journal_mode", "delete").unwrap();
    // Data that does not fit into the cache is written to the file before the end of the transaction.
    change.pragma_update(None, "cache_size", 2).unwrap();
    change
        .execute_batch(
            "BEGIN IMMEDIATE; UPDATE meta SET epoch = 17; DELETE FROM topics;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
             INSERT INTO topics (name, last, answers) SELECT 'broken/' || n, 0, 0 FROM n;",
        )
        .unwrap();
    let killed = tempdir().unwrap();
    for suffix in ["", "-journal"] {
        fs::copy(
            with_suffix(path, suffix),
            with_suffix(&killed.path().join("log"), suffix),
        )
        .unwrap();
    }
    drop(change);
    for suffix in ["", "-journal"] {
        fs::copy(
            with_suffix(&killed.path().join("log"), suffix),
            with_suffix(path, suffix),
        )
        .unwrap();
    }
    let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let read = reader.query_row("SELECT epoch FROM meta", (), |row| row.get::<_, u64>(0));
    assert!(read.is_err(), "a reader may not roll it back: {read:?}");
}

#[test]
fn an_interrupted_in_place_change_is_rolled_back_by_the_next_open() {
    let (_dir, path) = dir();
    log(&path, &["one", "two"], &[]);
    let kept = ["one", "two"];
    interrupted_change(&path);
    let copy = with_suffix(&path, ".copy");
    backup_offline(&path, &copy).unwrap();
    assert_eq!(content(&copy).unwrap(), kept);
    interrupted_change(&path);
    assert_eq!(super::unfinished(&path).unwrap(), Some(super::Unfinished::Change));
    assert_eq!(content(&path).unwrap(), kept);
    assert_eq!(super::unfinished(&path).unwrap(), None);
    interrupted_change(&path);
    let other = with_suffix(&path, ".other");
    restore(&path, &other, false).unwrap();
    assert_eq!(content(&other).unwrap(), kept);
    // A log that is moved aside is complete too.
    restore(&other, &path, true).unwrap();
    let aside = names(files::parent_dir(&path))
        .into_iter()
        .find(|name| name.ends_with("-journal"));
    let aside = files::parent_dir(&path).join(aside.unwrap().trim_end_matches("-journal"));
    restore(&aside, &path, true).unwrap();
    assert_eq!(content(&path).unwrap(), kept);
}

#[test]
fn a_file_with_another_application_id_is_not_changed() {
    let (dir, path) = dir();
    log(&path, &["one"], &[]);
    interrupted_change(&path);
    let change = |place: usize| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[place] ^= 1;
        fs::write(&path, &bytes).unwrap();
        bytes
    };
    let before = change(68);
    assert!(matches!(database::open(&path), Err(OpenError::Foreign(_))));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(names(dir.path()).contains(&"log-journal".to_owned()));
}

#[test]
fn a_stale_journal_of_an_earlier_restore_is_not_applied_by_the_next() {
    let (_dir, path) = dir();
    log(&path, &["old"], &[]);
    interrupted_change(&path);
    fs::rename(with_suffix(&path, "-journal"), with_suffix(&path, ".restored-journal")).unwrap();
    fs::remove_file(&path).unwrap();
    log(&with_suffix(&path, ".backup"), &["new"], &[]);
    restore(&with_suffix(&path, ".backup"), &path, true).unwrap();
    assert_eq!(content(&path).unwrap(), ["new"]);
}

#[test]
fn after_an_interrupted_restore_of_an_earlier_release_no_empty_log_is_created() {
    let (_dir, path) = dir();
    log(&path, &["old"], &[]);
    let aside = with_suffix(&path, &format!(".replaced-{}", "0".repeat(32)));
    fs::rename(&path, &aside).unwrap();
    fs::write(with_suffix(&path, ".restored"), "half").unwrap();
    for _ in 0..2 {
        let error = content(&path).unwrap_err();
        assert!(
            matches!(&error, OpenError::Replaced { aside: found, .. } if *found == aside),
            "{error}"
        );
        assert!(backup_offline(&path, &with_suffix(&path, ".backup")).is_err());
    }
    restore(&aside, &path, false).unwrap();
    assert_eq!(content(&path).unwrap(), ["old"]);
}
