//! Kills the real binary, under strace, before each system call that changes the log's directory. After each kill the next start
//! finds the old log or the new one, with everything that was committed, and no stray files. Skipped without strace (`make setup`
//! installs it); without strace, the unit tests in `log/sqlite/tests.rs` cover the same failpoints.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use duplex::server::token::Token;
use duplex_hub::log::sqlite::SqliteLog;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use super::file::write_version_1;
use super::*;
use crate::harness::process::{duplex_command, minimal_site, run, stdout};

/// System calls that change a directory or a file in it; `openat` counts only if it creates or truncates a file.
const CHANGES: &str = "openat,write,pwrite64,ftruncate,fallocate,copy_file_range,sendfile,rename,renameat,renameat2,unlink,\
                       unlinkat,link,linkat,mkdir,mkdirat,chmod,fchmod,fchmodat";

/// Set to test every system call, which takes half a minute. By default only the first, second and last of consecutive writes to
/// one file are tested.
const EVERY_CALL_VARIABLE: &str = "DUPLEX_EVERY_SYSTEM_CALL";

/// The name of a system call, and its number among the calls of that name.
type Call = (String, u32);

fn traced(command: &Command, options: &[&str], out: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-q", "-y", "-s", "0", "-o"]).arg(out);
    traced.args(options).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    traced
}

/// The system calls in the main thread's trace that changed `dir`.
fn calls(trace: &str, dir: &Path) -> Vec<Call> {
    let dir = dir.to_str().unwrap();
    let main = trace.split_whitespace().next().unwrap_or_default();
    let (mut counts, mut calls, mut last) = (BTreeMap::<&str, u32>::new(), Vec::new(), Vec::new());
    for line in trace.lines().filter_map(|line| line.strip_prefix(main)) {
        let Some((name, arguments)) = line.trim_start().split_once('(') else {
            continue;
        };
        let count = counts.entry(name).or_default();
        *count += 1;
        let changes_file = name != "openat" || arguments.contains("O_CREAT") || arguments.contains("O_TRUNC");
        if !arguments.contains(dir) || !changes_file {
            continue;
        }
        let file = arguments.split('>').next().unwrap_or_default().to_owned();
        calls.push((name.to_owned(), *count));
        last.push((name.to_owned(), file));
    }
    let same = |at: usize, other: Option<usize>| other.and_then(|other| last.get(other)) == last.get(at);
    let is_representative = |at: usize| {
        let middle = same(at, at.checked_sub(1)) && same(at, at.checked_sub(2)) && same(at, Some(at + 1));
        std::env::var_os(EVERY_CALL_VARIABLE).is_some() || last[at].0 != "pwrite64" || !middle
    };
    (0..calls.len())
        .filter(|at| is_representative(*at))
        .map(|at| calls[at].clone())
        .collect()
}

/// A command that changes a directory: the directory's preparation, the command's arguments, and the checks after a kill.
struct Scenario {
    name: &'static str,
    prepare: fn(&Path),
    arguments: &'static [&'static str],
    check: fn(&Path),
}

impl Scenario {
    fn dir(&self) -> TempDir {
        let dir = tempdir().unwrap();
        (self.prepare)(dir.path());
        dir
    }

    /// Runs the command under strace; a server is killed once it serves. Returns the trace.
    fn run(&self, dir: &Path, options: &[&str]) -> String {
        let out = dir
            .parent()
            .unwrap()
            .join(format!("trace-{}", dir.file_name().unwrap().to_str().unwrap()));
        let mut command = duplex_command(dir);
        command.args(
            self.arguments
                .iter()
                .map(|argument| argument.replace("HERE", dir.to_str().unwrap())),
        );
        if self.arguments.is_empty() {
            let site = minimal_site(&dir.join("front"));
            command
                .args(["--addr", "127.0.0.1:0", "--log", "off", "--site"])
                .arg(site);
        }
        let mut process = traced(&command, options, &out).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if self.arguments.is_empty() && !line.is_empty() {
            let trace = fs::read_to_string(&out).unwrap();
            let server = trace.split_whitespace().next().unwrap().to_owned();
            let _ = Command::new("kill").args(["-9", &server]).status();
        }
        process.wait().unwrap();
        let trace = fs::read_to_string(&out).unwrap();
        fs::remove_file(&out).unwrap();
        trace
    }

    fn kill_at_every_call(&self) {
        let dir = self.dir();
        let trace = self.run(dir.path(), &["-e", &format!("trace={CHANGES}")]);
        (self.check)(dir.path());
        let calls = calls(&trace, dir.path());
        assert!(calls.len() > 2, "{}: the command changed nothing: {trace}", self.name);
        let remaining = Mutex::new(calls.into_iter());
        thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    loop {
                        let next = remaining.lock().unwrap().next();
                        let Some((call, count)) = next else { return };
                        self.kill_at(&call, count);
                    }
                });
            }
        });
    }

    fn kill_at(&self, call: &str, count: u32) {
        let dir = self.dir();
        let kill = format!("inject={call}:signal=KILL:when={count}");
        let trace = self.run(dir.path(), &["-e", &format!("trace={call}"), "-e", &kill]);
        // It was killed in this call, not later as a serving server.
        let killed = trace.lines().any(|line| line.contains(call) && line.ends_with("= ?"));
        assert!(killed, "{}, {call} {count}: {trace}", self.name);
        eprintln!("{}: killed before {call} {count}; {:?}", self.name, names(dir.path()));
        (self.check)(dir.path());
    }
}

fn has_strace() -> bool {
    let status = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    let is_installed = status.is_ok_and(|status| status.success());
    if !is_installed {
        eprintln!("skipped: strace is missing or not permitted; `make setup` installs it");
    }
    is_installed
}

/// Writes a log with `count` events in its lobby, all but one of them only in the WAL, as a killed server leaves it.
fn write_log(path: &Path, count: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let source = tempdir().unwrap();
        let from = source.path().join("log");
        let log = SqliteLog::open(&from).unwrap();
        append_messages(&log, &topic(LOBBY), 0, 1).await;
        log.close().await;
        drop(log);
        let log = SqliteLog::open(&from).unwrap();
        append_messages(&log, &topic(LOBBY), 1, count - 1).await;
        for part in ["", "-wal"] {
            let name = |path: &Path| format!("{}{part}", path.display());
            fs::copy(name(&from), name(path)).unwrap();
        }
        log.close().await;
    });
}

/// The number of events after opening the log.
fn events(path: &Path) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let log = SqliteLog::open(path).unwrap();
        let count = all(&log, &topic(LOBBY)).await.len();
        log.close().await;
        count
    })
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Stray files: all but a log, its lock and keys, and names that begin with one of `known`.
fn stray_files(dir: &Path, known: &[&str]) -> Vec<String> {
    let own = [
        "duplex.db",
        "duplex.db-wal",
        "duplex.db-shm",
        "front",
        "backup.db",
        "backup.db-wal",
        "backup.db-shm",
        "backup.db.lock",
    ];
    let keys = [
        "lock",
        "token",
        "tokens",
        "tokens.lock",
        "sign-in",
        "sign-in.lock",
        "operators",
        "operators.lock",
    ];
    let mut names = names(dir);
    names.retain(|name| {
        let key = name
            .strip_prefix("duplex.db.")
            .is_some_and(|suffix| keys.contains(&suffix));
        !own.contains(&name.as_str()) && !key && !known.iter().any(|known| name.starts_with(known))
    });
    names
}

#[test]
fn a_kill_during_the_first_start_is_recoverable() {
    let scenario = Scenario {
        name: "first start",
        prepare: |_| {},
        arguments: &[],
        check: |dir| {
            assert_eq!(events(&dir.join("duplex.db")), 0);
            Token::load_or_create(&dir.join("duplex.db")).unwrap(); // as the start does next
            assert_eq!(stray_files(dir, &[]), [""; 0]);
        },
    };
    if has_strace() {
        scenario.kill_at_every_call();
    }
}

#[test]
fn a_kill_during_an_upgrade_is_recoverable() {
    let scenario = Scenario {
        name: "upgrade",
        prepare: |dir| write_version_1(&dir.join("duplex.db")),
        arguments: &[],
        check: |dir| {
            let path = dir.join("duplex.db");
            assert_eq!(events(&path), 2);
            let epoch = Connection::open(&path).unwrap();
            let epoch = epoch.query_row("SELECT epoch FROM meta", (), |row| row.get::<_, u64>(0));
            assert_eq!(epoch, Ok(7));
            Token::load_or_create(&dir.join("duplex.db")).unwrap();
            assert_eq!(stray_files(dir, &[]), [""; 0]);
        },
    };
    if has_strace() {
        scenario.kill_at_every_call();
    }
}

#[test]
fn a_kill_during_the_first_start_after_a_restore_is_recoverable() {
    let scenario = Scenario {
        name: "first start after a restore",
        prepare: |dir| {
            write_log(&dir.join("backup.db"), 5);
            let restored = run(dir, &["restore", dir.join("backup.db").to_str().unwrap()]);
            assert!(restored.status.success(), "{restored:?}");
        },
        arguments: &[],
        check: |dir| {
            assert_eq!(events(&dir.join("duplex.db")), 5);
            Token::load_or_create(&dir.join("duplex.db")).unwrap();
            assert_eq!(stray_files(dir, &["backup.db-"]), [""; 0]);
        },
    };
    if has_strace() {
        scenario.kill_at_every_call();
    }
}

const RESTORE: &[&str] = &["restore", "HERE/backup.db", "--force"];

#[test]
fn a_kill_during_a_restore_is_recoverable() {
    let scenario = Scenario {
        name: "restore",
        prepare: |dir| {
            write_log(&dir.join("duplex.db"), 3);
            write_log(&dir.join("backup.db"), 5);
        },
        arguments: RESTORE,
        check: |dir| {
            let path = dir.join("duplex.db");
            let count = events(&path);
            assert_eq!(stray_files(dir, &["backup.db-", "duplex.db.replaced-"]), [""; 0]);
            let aside = names(dir)
                .into_iter()
                .find(|name| name.starts_with("duplex.db.replaced-"));
            match aside {
                None => assert_eq!(count, 3),
                Some(aside) => {
                    assert_eq!(count, 5);
                    let aside = &aside[.."duplex.db.replaced-".len() + 32];
                    let undone = run(dir, &["restore", dir.join(aside).to_str().unwrap(), "--force"]);
                    assert!(undone.status.success(), "{undone:?}");
                    assert_eq!(events(&path), 3);
                }
            }
            let again = run(dir, &["restore", dir.join("backup.db").to_str().unwrap(), "--force"]);
            assert!(again.status.success(), "{again:?}");
            assert_eq!(events(&path), 5);
        },
    };
    if has_strace() {
        scenario.kill_at_every_call();
    }
}

#[test]
fn a_kill_during_a_backup_is_recoverable() {
    let scenario = Scenario {
        name: "backup",
        prepare: |dir| write_log(&dir.join("duplex.db"), 3),
        arguments: &["backup", "--offline", "HERE/backup.db"],
        check: |dir| {
            let copy = dir.join("backup.db");
            let copied = copy.exists() || {
                let retried = run(dir, &["backup", "--offline", copy.to_str().unwrap()]);
                retried.status.success()
            };
            assert!(copied);
            assert_eq!((events(&copy), events(&dir.join("duplex.db"))), (3, 3));
            assert_eq!(stray_files(dir, &[]), [""; 0]);
        },
    };
    if has_strace() {
        scenario.kill_at_every_call();
    }
}

#[test]
fn a_kill_during_token_creation_is_recoverable() {
    let first = Scenario {
        name: "token",
        prepare: |_| {},
        arguments: &["token"],
        check: |dir| {
            let token = stdout(&run(dir, &["token"]));
            assert_eq!(token.trim().len(), 64);
            assert_eq!(stdout(&run(dir, &["token"])), token);
            assert_eq!(stray_files(dir, &[]), [""; 0]);
        },
    };
    let created = Scenario {
        name: "token create",
        prepare: |dir| assert!(run(dir, &["token", "create", "--role", "read"]).status.success()),
        arguments: &["token", "create", "--role", "notify"],
        check: |dir| {
            assert!(run(dir, &["token", "create", "--role", "operator"]).status.success());
            let list = stdout(&run(dir, &["token", "list"]));
            assert!(list.contains("read") && list.contains("operator"), "{list}");
            assert_eq!(stray_files(dir, &[]), [""; 0]);
        },
    };
    if has_strace() {
        first.kill_at_every_call();
        created.kill_at_every_call();
    }
}
