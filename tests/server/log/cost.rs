//! Benchmark: the cost of forwards per append; see benches/README.md.

use std::time::{Duration, Instant};

use duplex_hub::log::sqlite::SqliteLog;
use futures_util::future::join_all;

use super::*;

const ROUNDS: usize = 9;
const APPENDS: u64 = 100;
/// The batch size of a busy topic.
const ENTRIES: u64 = 64;

/// The time of sequential appends, each with its own commit. The forwards of an append are removed together, as delivered.
async fn time_appends(log: &SqliteLog, topic: &TopicName, forwards: bool) -> Duration {
    let start = Instant::now();
    for round in 0..APPENDS {
        let first = round * ENTRIES;
        let entries = (first..first + ENTRIES).map(|number| Entry {
            forwards: if forwards {
                vec![forward(0, "rooms/all")]
            } else {
                Vec::new()
            },
            ..message_entry(number.into())
        });
        assert_eq!(
            log.append(topic, first.into(), entries.collect()).await,
            Ok(first + ENTRIES)
        );
        if forwards {
            let keys = (first + 1..=first + ENTRIES).map(|seq| key(topic, seq, 0));
            assert_eq!(log.remove_forwards(keys.collect()).await, Ok(()));
        }
    }
    start.elapsed()
}

#[tokio::test]
#[ignore = "make bench ONLY=log"]
async fn forwards() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = SqliteLog::open(&dir.path().join("log.db")).unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (forwards, times) in times.iter_mut().enumerate() {
            let topic = topic(&format!("chat/{round}-{forwards}"));
            times.push(time_appends(&log, &topic, forwards == 1).await);
        }
    }
    let [without, with] = times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2].as_secs_f64() * 1e6 / (APPENDS * ENTRIES) as f64
    });
    println!(
        "| appends of {ENTRIES} commands, us per command, median of {ROUNDS} | without | each with a forward | ratio |"
    );
    println!("| --- | --- | --- | --- |");
    println!(
        "| stored, and the forwards removed | {without:.1} | {with:.1} | {:.2} |",
        with / without
    );
    log.close().await;
}

/// Measures appends and reads of an empty log.
pub async fn throughput(log: &dyn Log) {
    let start = Instant::now();
    append_messages(log, &topic(LOBBY), 0, 1000).await;
    let sequential = 1000.0 / start.elapsed().as_secs_f64();
    let before = log.writer_stats();
    let names: Vec<_> = (0..100).map(|n| topic(&format!("chat/{n}"))).collect();
    let start = Instant::now();
    join_all(names.iter().map(|name| append_messages(log, name, 0, 200))).await;
    let concurrent = 20_000.0 / start.elapsed().as_secs_f64();
    let commits = log.writer_stats().commits - before.commits;
    let start = Instant::now();
    for seq in 0..2000 {
        assert_eq!(log.read(&topic(LOBBY), seq % 900, 50).await.unwrap().len(), 50);
    }
    let reads = 2000.0 / start.elapsed().as_secs_f64();
    println!("one topic, sequential appends: {sequential:.0} appends/s");
    println!("100 topics, concurrent appends: {concurrent:.0} appends/s in {commits} commits for 20000");
    println!("pages of 50 events, sequential reads: {reads:.0} reads/s");
}
