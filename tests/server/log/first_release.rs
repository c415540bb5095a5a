//! Compatibility with the first release: a log written by its server, `recorded/first_release.db`, and the states that it sent to its
//! readers, `recorded/first_release.txt`. The log contains commands of visitors and programs for every kind of topic, with the prices
//! of one symbol. Neither file may change.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duplex::apps;
use duplex_hub::log::Log as _;
use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::{DynTopic, Hub};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Epoch};
use duplex_protocol::session::Verdict;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::tempdir;

use super::recorded::contains_all;
use super::*;
use crate::harness::Node;
use crate::harness::visitor::{Transport, Visitor};

const EPOCH: u64 = 8_821_742_457_445_442;
/// The topics, with the newest seq of each.
const TOPICS: [(&str, u64); 18] = [
    ("alerts/c79647774a412a13", 4),
    ("alerts/dc3e422c2ace89ab", 1),
    ("candles/krw-btc", 1),
    ("chat/cats-1", 1),
    (LOBBY, 8),
    ("compare/01", 1),
    ("device/boiler-2", 3),
    ("device/oven-1", 20),
    ("fleet/all", 10),
    ("inbox/c79647774a412a13", 8),
    ("notices/all", 1),
    ("notices/devices", 3),
    ("notices/news", 1),
    ("orders/all", 6),
    ("quotes/all", 14),
    ("rooms/all", 6),
    ("scores/all", 1),
    ("watches/all", 4),
];
const STATES: &str = include_str!("../recorded/first_release.txt");

/// A copy of the file, with the permissions of that release.
fn copy(dir: &Path) -> PathBuf {
    let path = dir.join("duplex.db");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/recorded/first_release.db");
    fs::copy(file, &path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    path
}

fn version(path: &Path) -> u32 {
    let file = Connection::open(path).unwrap();
    file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn kind(topic: &TopicName) -> Box<dyn DynTopic> {
    let mut kinds = apps::server::Apps::default().kinds().into_iter();
    kinds.find(|kind| kind.name() == topic.kind()).unwrap()
}

/// The states that the release sent to its readers, with their cursors.
fn states() -> impl Iterator<Item = (TopicName, Cursor, Value)> {
    STATES.lines().map(|line| {
        let [name, cursor, state] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let (epoch, seq) = cursor.split_once(':').unwrap();
        let cursor = Cursor::new(Epoch::new(epoch.parse().unwrap()), seq.parse().unwrap());
        let mut state = serde_json::from_str(state).unwrap();
        remove_trails(&mut state);
        (topic(name), cursor, state)
    })
}

/// Removes the metrics' trails, which that release stored in thousandths. Folding the events covers them.
fn remove_trails(state: &mut Value) {
    let metrics = state.get_mut("metrics").and_then(Value::as_object_mut);
    for metric in metrics.into_iter().flat_map(|metrics| metrics.values_mut()) {
        metric.as_object_mut().unwrap().remove("trail").unwrap();
    }
}

#[tokio::test]
async fn the_log_opens_with_all_events() {
    let dir = tempdir().unwrap();
    let path = copy(dir.path());
    assert_eq!(version(&path), 1);
    let log = SqliteLog::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut topics = Vec::new();
    for kind in apps::server::Apps::default().kinds() {
        topics.extend(log.topics(kind.name()).await.unwrap());
    }
    topics.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    assert_eq!(topics, TOPICS.map(|(name, _)| topic(name)));
    for (name, last) in TOPICS {
        let topic = topic(name);
        let head = log.open(&topic, 0, 0).await.unwrap().head;
        assert_eq!(
            (head.epoch, head.first, head.last),
            (Epoch::new(EPOCH), 1, last),
            "{topic}"
        );
        let records = all(&log, &topic).await;
        assert_eq!(records.len() as u64, last, "{topic}");
        for record in records {
            let event = kind(&topic).event(&record.event).unwrap();
            assert!(event.encode(Encoding::Json).is_ok() && event.encode(Encoding::Postcard).is_ok());
        }
    }
    log.close().await;
    drop(log);
    assert_eq!(version(&path), 3);
}

#[test]
fn the_upgrade_is_atomic() {
    let dir = tempdir().unwrap();
    let path = copy(dir.path());
    // An existing table makes the last step of the upgrade fail.
    let file = Connection::open(&path).unwrap();
    file.execute_batch("CREATE TABLE refusals (x)").unwrap();
    let schema = |file: &Connection| {
        let query = "SELECT group_concat(sql) FROM sqlite_schema";
        file.query_row(query, (), |row| row.get::<_, String>(0)).unwrap()
    };
    let before = schema(&file);
    file.close().unwrap();
    assert!(SqliteLog::open(&path).is_err());
    assert_eq!(version(&path), 1);
    let file = Connection::open(&path).unwrap();
    assert_eq!(schema(&file), before);
    file.execute_batch("DROP TABLE refusals").unwrap();
    file.close().unwrap();
    SqliteLog::open(&path).unwrap();
    assert_eq!(version(&path), 3);
}

#[tokio::test]
async fn the_states_equal_those_of_the_first_release() {
    let dir = tempdir().unwrap();
    let log = Arc::new(SqliteLog::open(&copy(dir.path())).unwrap());
    let hub = Hub::new(log.clone(), apps::server::Apps::default().kinds());
    assert_eq!(states().count(), 15);
    for (topic, cursor, recorded) in states() {
        let handle = hub.open(&topic).await.unwrap();
        let (now, state) = handle.state(Encoding::Json).await.unwrap();
        assert_eq!((now.epoch, now.seq), (cursor.epoch, cursor.seq), "{topic}");
        let state = serde_json::from_slice(&state.0).unwrap();
        assert!(contains_all(&recorded, &state), "{topic}: {recorded}\nbecame\n{state}");
        // Folding the events gives the same state as the snapshot.
        let mut fold = kind(&topic).load_state(None).unwrap();
        for record in all(&*log, &topic).await {
            fold.apply(record.seq, &record.event).unwrap();
        }
        let folded: Value = serde_json::from_slice(&fold.state(Encoding::Json).unwrap().0).unwrap();
        assert_eq!(folded, state, "{topic}");
    }
    hub.close().await;
}

#[tokio::test]
async fn cursors_of_the_first_release_resume() {
    let dir = tempdir().unwrap();
    let log = Arc::new(SqliteLog::open(&copy(dir.path())).unwrap());
    let node = Node::with_log(log, apps::server::Apps::default().kinds());
    for transport in Transport::ALL {
        let mut reader = Visitor::new(&node, transport).await;
        for (topic, replayed) in [(LOBBY, 3), ("rooms/all", 0), ("device/oven-1", 12), ("fleet/all", 1)] {
            let last = TOPICS.iter().find(|(name, _)| *name == topic).unwrap().1;
            let cursor = Cursor::new(Epoch::new(EPOCH), last - replayed);
            let verdict = reader.subscribe(topic, Some(cursor)).await;
            assert!(
                matches!(&verdict, Verdict::Resumed { replayed: count, .. } if *count == replayed),
                "{transport:?} {topic}: {verdict:?}"
            );
        }
    }
}
