//! Samples the node's statistics periodically and publishes them in the status topic, which retains ten minutes of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::snapshot::{NodeSnapshot, log_stats};
use super::state::ServerState;
use crate::wire::status::{BusyTopic, Detail, Point, SAMPLE_SECONDS, STATUS, Sample, Series, StoredKind};
use duplex_axum::connection::{ConnectionKind, CounterSnapshot, DisconnectReason};
use duplex_hub::log::LogStats;
use duplex_hub::{TopicCommand, TopicStats};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, CommandId};
use duplex_protocol::topic::TopicName;

/// Number of topics listed in a sample.
const BUSIEST_TOPICS: usize = 10;

/// Number of samples between refreshes of the log's statistics, which read every topic ever written to.
const LOG_STATS_EVERY: u64 = 5;

pub fn spawn_monitor(state: &ServerState) {
    let state = state.clone();
    let Ok(topic) = STATUS.parse::<TopicName>() else { return };
    state.shutdown.clone().spawn(async move {
        tokio::select! {
            () = state.shutdown.begun() => {}
            () = run(&state, &topic) => {}
        }
    });
}

async fn run(state: &ServerState, topic: &TopicName) {
    let mut ticks = interval(Duration::from_secs(SAMPLE_SECONDS));
    // Missed ticks are skipped: each sample covers the time since the previous one.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut log) = (None, LogStats::default());
    for number in 0_u64.. {
        ticks.tick().await;
        if number % LOG_STATS_EVERY == 0 {
            log = log_stats(state).await;
        }
        let now = NodeSnapshot::read(state);
        if let Some(before) = before.replace(now.clone()) {
            let sample = TopicCommand::new(topic.clone(), &sample(&before, &now, &log));
            let id = CommandId::from_bits(uuid::Uuid::now_v7().as_u128());
            if let Ok(sample) = sample
                && let Answer::Rejected(why) = state.hub.send_command(id, sample).await
            {
                tracing::debug!("a status sample was rejected: {why}");
            }
        }
    }
}

fn sample(before: &NodeSnapshot, now: &NodeSnapshot, log: &LogStats) -> Sample {
    let kinds = log.kinds.iter().map(|(kind, stats)| StoredKind {
        kind: kind.clone(),
        topics: stats.topics,
        events: stats.events,
    });
    Sample {
        at: duplex_hub::now(),
        point: point(before, now, log),
        detail: Detail {
            node: now.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: now.uptime.as_secs(),
            busiest: busiest(&before.topics, &now.topics),
            kinds: kinds.collect(),
            tasks: now.tasks.clone(),
        },
    }
}

fn point(before: &NodeSnapshot, now: &NodeSnapshot, log: &LogStats) -> Point {
    let mut point = Point::default();
    for (kind, series) in ConnectionKind::ALL.into_iter().zip([
        Series::Endpoint,
        Series::WebSocket,
        Series::Sse,
        Series::Poll,
        Series::Simulation,
    ]) {
        point.set(series, now.counters.open(kind));
    }
    point.set(Series::Topics, now.hub.topics);
    point.set(Series::Subscribers, now.hub.subscriptions);
    point.set(Series::QueuedRequests, now.queued_requests());
    point.set(Series::QueuedLogJobs, now.log.queued);
    point.set(Series::LogBytes, log.bytes);
    point.set(Series::Memory, now.process.resident_bytes);
    let (hub, previous) = (&now.hub, &before.hub);
    let mut count = |series, now: u64, before: u64| point.set(series, now.saturating_sub(before));
    count(Series::Commands, hub.commands, previous.commands);
    count(Series::Rejected, hub.rejected, previous.rejected);
    count(Series::Events, hub.events, previous.events);
    count(Series::Delivered, hub.delivered, previous.delivered);
    count(Series::Conflated, hub.conflated, previous.conflated);
    count(Series::Errors, now.errors, before.errors);
    let (counters, previous) = (&now.counters, &before.counters);
    let disconnects = |snapshot: &CounterSnapshot| {
        DisconnectReason::ALL
            .iter()
            .map(|reason| snapshot.disconnects(*reason))
            .sum()
    };
    count(Series::Disconnects, disconnects(counters), disconnects(previous));
    count(Series::BytesIn, counters.bytes_in, previous.bytes_in);
    count(Series::BytesOut, counters.bytes_out, previous.bytes_out);
    count(Series::MessagesIn, counters.received, previous.received);
    count(Series::MessagesOut, counters.sent, previous.sent);
    let commits = now.log.latency.since(&before.log.latency);
    point.set(Series::CommitP50, commits.quantile(0.5).unwrap_or(0));
    point.set(Series::CommitP99, commits.quantile(0.99).unwrap_or(0));
    point
}

fn busiest(before: &[TopicStats], now: &[TopicStats]) -> Vec<BusyTopic> {
    let previous: HashMap<&TopicName, Seq> = before.iter().map(|topic| (&topic.topic, topic.seq)).collect();
    // Sorted by rank; ties are broken by name.
    let mut found: BTreeMap<_, BusyTopic> = BTreeMap::new();
    for stats in now {
        let TopicStats {
            topic,
            seq,
            start_seq,
            subscribers,
            ..
        } = stats;
        let events = seq.saturating_sub(previous.get(topic).copied().unwrap_or(*start_seq));
        let rank = (u64::MAX - events, u64::MAX - subscribers, topic.as_str());
        let busy = BusyTopic {
            topic: topic.clone(),
            seq: *seq,
            subscribers: *subscribers,
            events,
        };
        found.insert(rank, busy);
        if found.len() > BUSIEST_TOPICS {
            found.pop_last();
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, seq: Seq, subscribers: u64) -> TopicStats {
        TopicStats {
            topic: name.parse().unwrap(),
            seq,
            start_seq: 0,
            subscribers,
            queued: 0,
        }
    }

    #[test]
    fn only_the_busiest_topics_are_listed_in_order() {
        let before = [topic("a/1", 5, 0), topic("a/2", 5, 0)];
        let woken = TopicStats {
            start_seq: 97,
            ..topic("a/3", 100, 1)
        };
        let mut now = vec![topic("a/1", 6, 0), topic("a/2", 9, 0), woken];
        now.extend((0..20).map(|number| topic(&format!("b/{number}"), 0, 0)));
        let found = busiest(&before, &now);
        let shown: Vec<_> = found.iter().map(|busy| (busy.topic.as_str(), busy.events)).collect();
        assert_eq!(shown[..3], [("a/2", 4), ("a/3", 3), ("a/1", 1)]);
        assert_eq!(shown.len(), BUSIEST_TOPICS);
    }
}
