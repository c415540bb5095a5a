//! Takes a sample of the node at times and says it in the node's topic, where it stays for ten minutes. Knows no page.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::snapshot::{NodeSnapshot, log_stats};
use super::state::ServerState;
use crate::wire::status::{BusyTopic, Detail, Point, SAMPLE_SECONDS, STATUS, Sample, Series, StoredKind};
use duplex_axum::connection::{CounterSnapshot, DisconnectReason, TransportKind};
use duplex_hub::log::LogStats;
use duplex_hub::{TopicCommand, TopicStats};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, CommandId};
use duplex_protocol::topic::TopicName;

/// Topics that a sample names.
const BUSIEST: usize = 10;

/// Samples from one census of the log to the next: it looks at every topic that was ever written to.
const CENSUS_EVERY: u64 = 5;

pub fn start(state: &ServerState) {
    let state = state.clone();
    let Ok(topic) = STATUS.parse::<TopicName>() else { return };
    state.shutdown.clone().spawn(async move {
        tokio::select! {
            () = state.shutdown.begun() => {}
            () = watch(&state, &topic) => {}
        }
    });
}

async fn watch(state: &ServerState, topic: &TopicName) {
    let mut ticks = interval(Duration::from_secs(SAMPLE_SECONDS));
    // A sample that came late is not made up for: each is of the time since the one before.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut kept) = (None, LogStats::default());
    for number in 0_u64.. {
        ticks.tick().await;
        if number % CENSUS_EVERY == 0 {
            kept = log_stats(state).await;
        }
        let now = NodeSnapshot::read(state);
        if let Some(before) = before.replace(now.clone()) {
            let sample = TopicCommand::new(topic.clone(), &sample(&before, &now, &kept));
            let id = CommandId::from_bits(uuid::Uuid::now_v7().as_u128());
            if let Ok(sample) = sample
                && let Answer::Rejected(why) = state.hub.tell_command(id, sample).await
            {
                tracing::debug!("a sample is lost: {why}");
            }
        }
    }
}

fn sample(before: &NodeSnapshot, now: &NodeSnapshot, kept: &LogStats) -> Sample {
    let kinds = kept.kinds.iter().map(|(kind, census)| StoredKind {
        kind: kind.clone(),
        topics: census.topics,
        events: census.events,
    });
    Sample {
        at: duplex_hub::now(),
        point: point(before, now, kept),
        detail: Detail {
            node: now.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: now.uptime.as_secs(),
            busiest: busiest(&before.topics, &now.topics),
            kinds: kinds.collect(),
            feeds: now.feeds.clone(),
        },
    }
}

fn point(before: &NodeSnapshot, now: &NodeSnapshot, kept: &LogStats) -> Point {
    let mut point = Point::default();
    for (way, series) in TransportKind::ALL.into_iter().zip([
        Series::Endpoint,
        Series::WebSocket,
        Series::Sse,
        Series::Poll,
        Series::Simulation,
    ]) {
        point.set(series, now.counters.open(way));
    }
    point.set(Series::Topics, now.hub.topics);
    point.set(Series::Subscribers, now.hub.members);
    point.set(Series::Waiting, now.waiting());
    point.set(Series::LogWaiting, now.log.waiting);
    point.set(Series::LogBytes, kept.bytes);
    point.set(Series::Memory, now.process.resident_bytes);
    let (hub, then) = (&now.hub, &before.hub);
    let mut came = |series, now: u64, before: u64| point.set(series, now.saturating_sub(before));
    came(Series::Commands, hub.commands, then.commands);
    came(Series::Rejected, hub.rejected, then.rejected);
    came(Series::Events, hub.events, then.events);
    came(Series::Delivered, hub.delivered, then.delivered);
    came(Series::Conflated, hub.conflated, then.conflated);
    came(Series::Errors, now.errors, before.errors);
    let (counters, then) = (&now.counters, &before.counters);
    let cuts = |reading: &CounterSnapshot| DisconnectReason::ALL.iter().map(|why| reading.disconnects(*why)).sum();
    came(Series::Disconnects, cuts(counters), cuts(then));
    came(Series::BytesIn, counters.bytes_in, then.bytes_in);
    came(Series::BytesOut, counters.bytes_out, then.bytes_out);
    came(Series::MessagesIn, counters.received, then.received);
    came(Series::MessagesOut, counters.sent, then.sent);
    let commits = now.log.latency.since(&before.log.latency);
    point.set(Series::CommitP50, commits.quantile(0.5).unwrap_or(0));
    point.set(Series::CommitP99, commits.quantile(0.99).unwrap_or(0));
    point
}

fn busiest(before: &[TopicStats], now: &[TopicStats]) -> Vec<BusyTopic> {
    let then: HashMap<&TopicName, Seq> = before.iter().map(|topic| (&topic.topic, topic.seq)).collect();
    // The map is by what counts; of equals the names decide.
    let mut found: BTreeMap<_, BusyTopic> = BTreeMap::new();
    for figures in now {
        let TopicStats {
            topic,
            seq,
            woke,
            subscribers,
            ..
        } = figures;
        let events = seq.saturating_sub(then.get(topic).copied().unwrap_or(*woke));
        let rank = (u64::MAX - events, u64::MAX - subscribers, topic.as_str());
        let busy = BusyTopic {
            topic: topic.clone(),
            seq: *seq,
            subscribers: *subscribers,
            events,
        };
        found.insert(rank, busy);
        if found.len() > BUSIEST {
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
            woke: 0,
            subscribers,
            waiting: 0,
        }
    }

    #[test]
    fn the_busiest_come_first_and_the_others_not_at_all() {
        let before = [topic("a/1", 5, 0), topic("a/2", 5, 0)];
        let woken = TopicStats {
            woke: 97,
            ..topic("a/3", 100, 1)
        };
        let mut now = vec![topic("a/1", 6, 0), topic("a/2", 9, 0), woken];
        now.extend((0..20).map(|number| topic(&format!("b/{number}"), 0, 0)));
        let found = busiest(&before, &now);
        let shown: Vec<_> = found.iter().map(|busy| (busy.topic.as_str(), busy.events)).collect();
        assert_eq!(shown[..3], [("a/2", 4), ("a/3", 3), ("a/1", 1)]);
        assert_eq!(shown.len(), BUSIEST);
    }
}
