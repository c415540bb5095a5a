//! Operating on log files with the real binary: symlinks, leftovers of a killed server, `doctor`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use duplex_hub::log::Log as _;
use duplex_hub::log::sqlite::SqliteLog;
use serde_json::json;

use super::{LOBBY, all, topic};
use crate::harness::process::{Server, duplex_with_data, minimal_site, run, stdout};

fn post(dir: &Path, server: &Server, text: &str) {
    let command = json!({ "post": { "text": text, "reply_to": null } }).to_string();
    let sent = run(dir, &["send", LOBBY, &command, "--url", &server.url()]);
    assert!(sent.status.success(), "{sent:?}");
}

/// The number of events in a log's lobby.
async fn events(path: &Path) -> usize {
    let log = SqliteLog::open(path).unwrap();
    let count = all(&log, &topic(LOBBY)).await.len();
    log.close().await;
    count
}

/// Runs a command with `data` as its data file.
fn run_with_data(data: &Path, arguments: &[&str]) -> std::process::Output {
    duplex_with_data(data).args(arguments).output().unwrap()
}

fn files(dir: &Path, part: &str) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(part)).collect()
}

#[tokio::test]
async fn offline_backups_and_restores_include_the_wal_of_a_killed_server() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    let mut server = Server::start(dir.path());
    for text in ["one", "two", "three"] {
        post(dir.path(), &server, text);
    }
    let while_running = run_with_data(&at("live.db"), &["restore", &path("duplex.db")]);
    assert!(
        String::from_utf8_lossy(&while_running.stderr).contains("in use"),
        "{while_running:?}"
    );
    assert!(!at("live.db").exists());
    server.kill();
    assert!(fs::metadata(at("duplex.db-wal")).unwrap().len() > 0);
    let restored = run_with_data(&at("b.db"), &["restore", &path("duplex.db")]);
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(events(&at("b.db")).await, 3);
    let copied = run(dir.path(), &["backup", "--offline", &path("copy.db")]);
    assert!(copied.status.success(), "{copied:?}");
    assert_eq!(events(&at("copy.db")).await, 3);
    // A forced restore moves the log and its WAL aside; restoring the moved log undoes that.
    let empty = run_with_data(
        &at("empty.db"),
        &["--site", minimal_site(dir.path()).to_str().unwrap(), "doctor"],
    );
    assert!(stdout(&empty).contains("is created at the first start"), "{empty:?}");
    SqliteLog::open(&at("empty.db")).unwrap();
    assert!(
        run(dir.path(), &["restore", &path("empty.db"), "--force"])
            .status
            .success()
    );
    assert_eq!(events(&at("duplex.db")).await, 0);
    let aside = files(dir.path(), ".replaced-").into_iter().min().unwrap();
    let undone = run(dir.path(), &["restore", &path(&aside), "--force"]);
    assert!(undone.status.success(), "{undone:?}");
    assert_eq!(events(&at("duplex.db")).await, 3);
}

#[tokio::test]
async fn links_to_a_log_are_one_log_with_one_owner() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let real = dir.path().join("duplex.db");
    let names = ["relative.db", "absolute.db", "linked.db"].map(|name| other.path().join(name));
    symlink(&real, &names[1]).unwrap();
    let relative = Path::new("..").join(dir.path().file_name().unwrap()).join("duplex.db");
    symlink(relative, &names[0]).unwrap();
    // Restoring over a dangling link fails.
    assert!(run_with_data(&names[1], &["restore", "/nonexistent"]).status.code() == Some(1));
    let server = Server::start(dir.path());
    post(dir.path(), &server, "one");
    fs::hard_link(&real, &names[2]).unwrap();
    let site = minimal_site(dir.path());
    let copy = other.path().join("copy.db");
    for name in &names {
        let second = run_with_data(name, &["--addr", "127.0.0.1:0", "--site", site.to_str().unwrap()]);
        let offline = run_with_data(name, &["backup", "--offline", copy.to_str().unwrap()]);
        for rejected in [second, offline] {
            let stderr = String::from_utf8_lossy(&rejected.stderr).into_owned();
            assert!(
                !rejected.status.success() && stderr.contains("in use"),
                "{}: {stderr}",
                name.display()
            );
        }
    }
    let rejected = run_with_data(&names[0], &["restore", real.to_str().unwrap(), "--force"]);
    assert!(
        String::from_utf8_lossy(&rejected.stderr).contains("in use"),
        "{rejected:?}"
    );
    drop(server);
    fs::remove_file(&names[2]).unwrap();
    assert_eq!(events(&names[0]).await, 1);
    assert_eq!(
        files(other.path(), ".db-"),
        [""; 0],
        "the WAL is beside the link instead of the file"
    );
    let restored = run_with_data(&names[1], &["restore", real.to_str().unwrap(), "--force"]);
    assert!(restored.status.success(), "{restored:?}");
    assert!(names[1].is_symlink() && real.is_file());
    assert_eq!(events(&real).await, 1);
}

#[test]
fn partial_copies_of_a_killed_process_are_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(Server::start(dir.path()));
    let id = "0123456789abcdef".repeat(2);
    for name in [
        &format!("duplex.db.copy-{id}"),
        &format!("duplex.db.copy-{id}.duplex-partial"),
        &format!("duplex.db.copy-{id}.duplex-partial-journal"),
        "mine.db.duplex-partial",
        "duplex.db.restored",
        "duplex.db.restored-journal",
    ] {
        fs::write(dir.path().join(name), "half").unwrap();
    }
    let server = Server::start(dir.path());
    for left in ["copy-", "partial", "restored"] {
        assert_eq!(files(dir.path(), left), [""; 0]);
    }
    drop(server);
}

/// The line of `doctor` on the data file, and whether a server starts.
fn doctor_and_start(mut doctor: Command, mut server: Command, site: &Path) -> (String, bool) {
    let common = |command: &mut Command| {
        command.args(["--addr", "127.0.0.1:0", "--site"]).arg(site);
    };
    common(&mut doctor);
    common(&mut server);
    let report = stdout(&doctor.arg("doctor").output().unwrap());
    let line = report
        .lines()
        .find(|line| line.contains(" data file: "))
        .unwrap()
        .to_owned();
    let mut process = server
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut address = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(process.stdout.take().unwrap()),
        &mut address,
    )
    .unwrap();
    let _ = process.kill();
    process.wait().unwrap();
    (line, !address.is_empty())
}

#[test]
fn doctor_fails_where_a_server_cannot_start() {
    let dir = tempfile::tempdir().unwrap();
    let site = minimal_site(dir.path());
    let at = |name: &str| dir.path().join(name);
    for name in ["taken.db", "lock.db.lock"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(at("file"), "").unwrap();
    drop(SqliteLog::open(&at("wal2.db")).unwrap());
    fs::remove_file(at("wal2.db-wal")).unwrap_or_default();
    fs::create_dir_all(at("wal2.db-wal/x")).unwrap();
    fs::write(at("orphan.db-wal"), "half a journal").unwrap();
    fs::write(at("foreign.db"), "text").unwrap();
    let bad = [
        "taken.db",
        "lock.db",
        "file/log.db",
        "wal2.db",
        "orphan.db",
        "foreign.db",
    ]
    .map(at);
    let unwritable = [
        Path::new("/proc/duplex.db").to_owned(),
        Path::new("/proc/no/duplex.db").to_owned(),
    ];
    let good = [at("fresh.db"), at("in/new/directories.db")];
    let check = |data: &Path| doctor_and_start(duplex_with_data(data), duplex_with_data(data), &site);
    for data in bad.iter().chain(&unwritable) {
        let (line, starts) = check(data);
        assert!(
            line.starts_with("fail") && !starts,
            "{}: {line}, starts: {starts}",
            data.display()
        );
    }
    for data in &good {
        let (line, starts) = check(data);
        assert!(
            line.starts_with("ok") && starts,
            "{}: {line}, starts: {starts}",
            data.display()
        );
    }
}

#[test]
fn doctor_fails_for_an_unusable_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let site = minimal_site(dir.path());
    let tls = ["--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.key"];
    let arguments = [
        &["--addr", "127.0.0.1:0", "--site", site.to_str().unwrap()],
        &tls[..],
        &["doctor"],
    ]
    .concat();
    let unhealthy = run(dir.path(), &arguments);
    assert_eq!(unhealthy.status.code(), Some(1));
    assert!(
        stdout(&unhealthy).contains("fail configuration: /nonexistent.pem"),
        "{unhealthy:?}"
    );
}
