//! Who is counted what: runs, and the ways within them, as requests name them. Bounded; a run that nobody asked about for a while is
//! forgotten. Knows no HTTP.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use super::wire_bytes::TrafficTotals;
use crate::apps::compare::wire::measure::{TrafficCounts, is_name, is_run};
use crate::lock::lock;
use crate::server::limits;

#[derive(Debug, Default)]
pub struct ByteLedger(Mutex<HashMap<String, Run>>);

#[derive(Debug)]
struct Run {
    touched: Instant,
    ways: BTreeMap<String, Arc<TrafficTotals>>,
}

impl ByteLedger {
    /// Where the way of this run is counted; none if these are no names, or the run has as many ways as it may.
    pub fn totals(&self, run: &str, way: &str) -> Option<Arc<TrafficTotals>> {
        if !is_run(run) || !is_name(way) {
            return None;
        }
        let runs = &mut *self.runs();
        if !runs.contains_key(run) {
            make_room(runs);
        }
        let now = Instant::now();
        let entry = runs.entry(run.to_owned()).or_insert_with(|| Run {
            touched: now,
            ways: BTreeMap::new(),
        });
        entry.touched = now;
        if !entry.ways.contains_key(way) && entry.ways.len() >= limits::MEASURED_WAYS {
            return None;
        }
        Some(Arc::clone(entry.ways.entry(way.to_owned()).or_default()))
    }

    /// None: no request named this run, or too long ago.
    pub fn tallies(&self, run: &str) -> Option<BTreeMap<String, TrafficCounts>> {
        let runs = &mut *self.runs();
        runs.retain(|_, run| run.touched.elapsed() < limits::MEASURED_AGE);
        let run = runs.get_mut(run)?;
        run.touched = Instant::now();
        let tallies = run.ways.iter().map(|(way, totals)| (way.clone(), tally(totals)));
        Some(tallies.collect())
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        lock(&self.0)
    }
}

fn make_room(runs: &mut HashMap<String, Run>) {
    runs.retain(|_, run| run.touched.elapsed() < limits::MEASURED_AGE);
    while runs.len() >= limits::MEASURED_RUNS {
        let oldest = runs.iter().min_by_key(|(_, run)| run.touched);
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        runs.remove(&oldest);
    }
}

fn tally(totals: &TrafficTotals) -> TrafficCounts {
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
    async fn runs_are_few_and_forgotten() {
        let byte_ledger = ByteLedger::default();
        for number in 0..=limits::MEASURED_RUNS {
            assert!(byte_ledger.totals(&name(number), "fetch").is_some());
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(byte_ledger.tallies(&name(0)), None, "the oldest made room");
        assert!(byte_ledger.tallies(&name(1)).is_some());
        tokio::time::advance(limits::MEASURED_AGE).await;
        assert_eq!(byte_ledger.tallies(&name(1)), None);
        assert_eq!(byte_ledger.runs().len(), 0);
    }

    #[tokio::test]
    async fn a_run_has_few_ways_with_plain_names() {
        let byte_ledger = ByteLedger::default();
        for number in 0..limits::MEASURED_WAYS {
            assert!(byte_ledger.totals(&name(1), &format!("way{number}")).is_some());
        }
        assert!(byte_ledger.totals(&name(1), "more").is_none());
        assert!(byte_ledger.totals(&name(1), "way0").is_some());
        assert!(byte_ledger.totals("no run", "way0").is_none());
        assert!(byte_ledger.totals(&name(2), "a/b").is_none());
    }
}
