//! `ByteLedger`: byte counters per run and transport, keyed by the request's label. Bounded; unused runs are evicted. Independent
//! of HTTP.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use super::wire_bytes::TrafficCounters;
use crate::apps::compare::wire::measure::{TrafficCounts, is_label, is_run_id};
use crate::lock::lock;
use crate::server::limits;

#[derive(Debug, Default)]
pub struct ByteLedger(Mutex<HashMap<String, Run>>);

#[derive(Debug)]
struct Run {
    last_used: Instant,
    transports: BTreeMap<String, Arc<TrafficCounters>>,
}

impl ByteLedger {
    /// The counters of a transport of a run. `None` if a name is invalid or the run has too many transports.
    pub fn totals(&self, run: &str, transport: &str) -> Option<Arc<TrafficCounters>> {
        if !is_run_id(run) || !is_label(transport) {
            return None;
        }
        let runs = &mut *self.runs();
        if !runs.contains_key(run) {
            evict(runs);
        }
        let now = Instant::now();
        let entry = runs.entry(run.to_owned()).or_insert_with(|| Run {
            last_used: now,
            transports: BTreeMap::new(),
        });
        entry.last_used = now;
        if !entry.transports.contains_key(transport) && entry.transports.len() >= limits::MEASURED_TRANSPORTS {
            return None;
        }
        Some(Arc::clone(entry.transports.entry(transport.to_owned()).or_default()))
    }

    /// The counts of a run. `None` if no request named it, or if it was evicted.
    pub fn counts(&self, run: &str) -> Option<BTreeMap<String, TrafficCounts>> {
        let runs = &mut *self.runs();
        runs.retain(|_, run| run.last_used.elapsed() < limits::MEASUREMENT_RETENTION);
        let run = runs.get_mut(run)?;
        run.last_used = Instant::now();
        let counts = run
            .transports
            .iter()
            .map(|(transport, totals)| (transport.clone(), snapshot(totals)));
        Some(counts.collect())
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        lock(&self.0)
    }
}

fn evict(runs: &mut HashMap<String, Run>) {
    runs.retain(|_, run| run.last_used.elapsed() < limits::MEASUREMENT_RETENTION);
    while runs.len() >= limits::MEASURED_RUNS {
        let oldest = runs.iter().min_by_key(|(_, run)| run.last_used);
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        runs.remove(&oldest);
    }
}

fn snapshot(totals: &TrafficCounters) -> TrafficCounts {
    TrafficCounts {
        bytes_in: totals.bytes_in.load(Relaxed),
        bytes_out: totals.bytes_out.load(Relaxed),
        requests: totals.requests.load(Relaxed),
        opened: totals.opened.load(Relaxed),
        reused: totals.reused.load(Relaxed),
        multiplexed: totals.multiplexed.load(Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> String {
        format!("{number:016x}")
    }

    #[tokio::test(start_paused = true)]
    async fn runs_are_limited_and_expire() {
        let byte_ledger = ByteLedger::default();
        for number in 0..=limits::MEASURED_RUNS {
            assert!(byte_ledger.totals(&name(number), "fetch").is_some());
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(byte_ledger.counts(&name(0)), None, "the oldest is evicted");
        assert!(byte_ledger.counts(&name(1)).is_some());
        tokio::time::advance(limits::MEASUREMENT_RETENTION).await;
        assert_eq!(byte_ledger.counts(&name(1)), None);
        assert_eq!(byte_ledger.runs().len(), 0);
    }

    #[tokio::test]
    async fn a_run_has_a_limited_number_of_valid_transports() {
        let byte_ledger = ByteLedger::default();
        for number in 0..limits::MEASURED_TRANSPORTS {
            assert!(byte_ledger.totals(&name(1), &format!("way{number}")).is_some());
        }
        assert!(byte_ledger.totals(&name(1), "more").is_none());
        assert!(byte_ledger.totals(&name(1), "way0").is_some());
        assert!(byte_ledger.totals("no run", "way0").is_none());
        assert!(byte_ledger.totals(&name(2), "a/b").is_none());
    }
}
