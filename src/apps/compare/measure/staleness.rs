//! The staleness measurement: how late a push client and polling clients see changes of a value. All clients run at the same time.
//! The page makes the changes itself, so that one clock times changes and observations.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::future::{join, join_all};

use super::request::{get, labelled, post};
use super::socket::Socket;
use super::{CLOSE_DELAY_MS, ExchangeError, StopFlag, fetch_counts, new_run_id, now, sleep, sleep_until};
use crate::apps::compare::model::{Bytes, Staleness, Summary, Watcher, WatcherResult, observed_delays};
use crate::apps::compare::wire::measure::{MIN_PAYLOAD, SEND_PATH, VALUE_PATH, WATCH_PATH, parse_number, payload};
use duplex_leptos::socket::Payload;

const MAILBOX: &str = "&box=value";

/// Mean milliseconds between two changes. Gaps are exponentially distributed, within bounds.
const MEAN_GAP: f64 = 2500.0;
const GAP_BOUNDS: std::ops::RangeInclusive<f64> = 300.0..=8000.0;
/// Milliseconds between the last change and the end, so that every client can observe it.
const FINAL_GAP: f64 = 1000.0;

/// When a watcher saw a new value, with the number of the newest change at that time.
type Observations = Rc<RefCell<Vec<(f64, u32)>>>;

/// Runs the measurement; `progress` is called with the seconds elapsed.
pub async fn run(stop: StopFlag, progress: impl Fn(u32)) -> Result<Staleness, ExchangeError> {
    let run = new_run_id();
    let observations: [Observations; Watcher::ALL.len()] = Default::default();
    let pushed = Rc::clone(&observations[0]);
    let on_message = move |payload: &Payload| {
        if let Payload::Text(text) = payload
            && let Some(number) = parse_number(text)
        {
            pushed.borrow_mut().push((now(), number));
        }
    };
    let socket = Socket::open(
        &labelled(WATCH_PATH, &run, Watcher::Push.name(), MAILBOX),
        &[],
        on_message,
    )
    .await?;
    let started = now();
    let end = started + f64::from(Watcher::SECONDS) * 1000.0;
    let polls = Watcher::ALL
        .iter()
        .zip(&observations)
        .filter_map(|(watcher, observations)| match watcher {
            Watcher::Push => None,
            Watcher::Poll(seconds) => Some(poll(*watcher, *seconds, &run, started, &stop, observations)),
        });
    let progress_reports = report_progress(started, &stop, &progress);
    let (changes, _) = join(
        change_value(&run, started, end - FINAL_GAP, &stop),
        join(join_all(polls), progress_reports),
    )
    .await;
    let seconds = ((now() - started) / 1000.0).round() as u32;
    drop(socket);
    sleep(CLOSE_DELAY_MS).await;
    let counts = fetch_counts(&run).await;
    let results = Watcher::ALL.iter().zip(&observations).map(|(watcher, observations)| {
        let (delays, missed) = observed_delays(&changes, &observations.borrow());
        let traffic = counts.transports.get(watcher.name()).copied().unwrap_or_default();
        WatcherResult {
            watcher: *watcher,
            delay: Summary::from_times(&delays),
            missed,
            requests: traffic.requests as u32,
            bytes: Bytes {
                up: traffic.bytes_in,
                down: traffic.bytes_out,
            },
        }
    });
    Ok(Staleness {
        at: js_sys::Date::now() as u64,
        seconds,
        changes: changes.len() as u32,
        results: results.collect(),
    })
}

/// Changes the value until `end`; returns the time of each change.
async fn change_value(run: &str, started: f64, end: f64, stop: &StopFlag) -> Vec<f64> {
    let url = labelled(SEND_PATH, run, "source", MAILBOX);
    let mut changes = Vec::new();
    let mut next = started;
    loop {
        let gap = -MEAN_GAP * (1.0 - js_sys::Math::random()).ln();
        next += gap.clamp(*GAP_BOUNDS.start(), *GAP_BOUNDS.end());
        if next > end {
            return changes;
        }
        sleep_until(next, stop).await;
        if stop.is_stopped() {
            return changes;
        }
        changes.push(now());
        // A failed post counts as a missed change.
        let _ = post(&url, &payload(changes.len() as u32, MIN_PAYLOAD)).await;
    }
}

/// Polls every `seconds` seconds, the last time at the end.
async fn poll(watcher: Watcher, seconds: u32, run: &str, started: f64, stop: &StopFlag, observations: &Observations) {
    let url = labelled(VALUE_PATH, run, watcher.name(), MAILBOX);
    for poll_number in 1..=Watcher::SECONDS / seconds {
        sleep_until(started + f64::from(poll_number * seconds) * 1000.0, stop).await;
        if stop.is_stopped() {
            return;
        }
        if let Ok(text) = get(&url).await
            && let Some(number) = parse_number(&text)
        {
            observations.borrow_mut().push((now(), number));
        }
    }
}

async fn report_progress(started: f64, stop: &StopFlag, progress: &impl Fn(u32)) {
    for second in 0..Watcher::SECONDS {
        progress(second);
        sleep_until(started + f64::from(second + 1) * 1000.0, stop).await;
        if stop.is_stopped() {
            return;
        }
    }
}
