//! Compatibility with stored events: every event of the release of 2026-11-23 and of later ones stays readable.
//! `recorded/events_1.txt` has each event of each kind, `recorded/log_1.db` is a log of version 1 that contains them, and
//! `recorded/events_1_later.txt` has the events that later releases added. A change that breaks one of them requires a new version of
//! its kind (`Decider::STORED_VERSION`) and an upgrade step; these files must not change.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duplex::apps;
use duplex_hub::Hub;
use duplex_hub::log::Log as _;
use duplex_hub::log::sqlite::{SqliteLog, restore};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Epoch};
use duplex_protocol::session::Verdict;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::tempdir;

use super::*;
use crate::harness::Node;
use crate::harness::visitor::{Transport, Visitor};

const EVENTS: &str = include_str!("../recorded/events_1.txt");
const LATER: &str = include_str!("../recorded/events_1_later.txt");
const EPOCH: u64 = 6_172_839_450_617_283;

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/recorded/log_1.db")
}

/// Whether `new` contains every value of `old`. Objects may have additional members.
pub fn contains_all(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .iter()
            .all(|(name, old)| new.get(name).is_some_and(|new| contains_all(old, new))),
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| contains_all(old, new))
        }
        (old, new) => old == new,
    }
}

#[test]
fn every_recorded_event_decodes_with_its_original_meaning() {
    let kinds = apps::server::Apps::default().kinds();
    for line in EVENTS.lines().chain(LATER.lines()) {
        let (name, json) = line.split_once('\t').unwrap();
        let kind = kinds.iter().find(|kind| kind.name() == name).unwrap();
        let event = kind
            .event(json.as_bytes())
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let now = event.encode(Encoding::Json).unwrap();
        let [old, new]: [Value; 2] = [json.as_bytes(), &now.0].map(|json| serde_json::from_slice(json).unwrap());
        assert!(contains_all(&old, &new), "{line} became {new}");
        // It also encodes as postcard, is readable as JSON, and applies to the state.
        assert!(event.encode(Encoding::Postcard).is_ok(), "{line}");
        assert!(kind.event_json(json.as_bytes().to_vec()).is_ok());
        kind.load_state(None).unwrap().apply(1, json.as_bytes()).unwrap();
    }
    let is_recorded = |name: &str| {
        EVENTS
            .lines()
            .chain(LATER.lines())
            .any(|line| line.split('\t').next() == Some(name))
    };
    let missing: Vec<_> = kinds
        .iter()
        .map(|kind| kind.name())
        .filter(|name| !is_recorded(name))
        .collect();
    // Samples of a node's status are not stored.
    assert_eq!(missing, ["status"]);
}

#[tokio::test]
async fn a_version_1_log_keeps_its_events_and_epoch() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    fs::copy(recorded(), &path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let log = Arc::new(SqliteLog::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(recorded()).unwrap();
    assert_eq!(before[60..64], 1_u32.to_be_bytes(), "user_version");
    let file = Connection::open(&path).unwrap();
    let version = file.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
    assert_eq!(version, Ok(3));
    file.close().unwrap();
    let mut topics = Vec::new();
    for kind in apps::server::Apps::default().kinds() {
        topics.extend(log.topics(kind.name()).await.unwrap());
    }
    assert_eq!(topics.len(), 13, "{topics:?}");
    for topic in &topics {
        let recorded = EVENTS
            .lines()
            .filter(|line| line.split('\t').next() == Some(topic.kind()));
        let opened = log.open(topic, usize::MAX, 0).await.unwrap();
        let count = recorded.count();
        assert_eq!(
            (opened.head.epoch, opened.head.last),
            (Epoch::new(EPOCH), count as u64),
            "{topic}"
        );
        assert_eq!(opened.commands.len(), count, "{topic}");
    }
    let hub = Hub::new(log.clone(), apps::server::Apps::default().kinds());
    for topic in topics.iter().filter(|topic| topic.kind() != "moderation") {
        let handle = hub
            .open(topic)
            .await
            .unwrap_or_else(|denied| panic!("{topic}: {denied:?}"));
        let (cursor, _) = handle.state(Encoding::Json).await.unwrap();
        assert_eq!(cursor.epoch, Epoch::new(EPOCH), "{topic}");
        assert!(hub.history(topic, u64::MAX, 100).await.is_ok(), "{topic}");
    }
    hub.close().await;
}

#[tokio::test]
async fn a_cursor_of_the_earlier_release_resumes() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    restore(&recorded(), &path, false).unwrap();
    let restored = SqliteLog::open(&path).unwrap();
    assert_ne!(
        restored.open(&topic(LOBBY), 0, 0).await.unwrap().head.epoch,
        Epoch::new(EPOCH)
    );
    restored.close().await;
    drop(restored);
    let path = dir.path().join("here");
    fs::copy(recorded(), &path).unwrap();
    let node = Node::with_log(
        Arc::new(SqliteLog::open(&path).unwrap()),
        apps::server::Apps::default().kinds(),
    );
    for transport in Transport::ALL {
        let mut reader = Visitor::new(&node, transport).await;
        let cursor = Cursor::new(Epoch::new(EPOCH), 3);
        let verdict = reader.subscribe(LOBBY, Some(cursor)).await;
        assert!(
            matches!(verdict, Verdict::Resumed { replayed: 4.., .. }),
            "{transport:?}: {verdict:?}"
        );
    }
}
