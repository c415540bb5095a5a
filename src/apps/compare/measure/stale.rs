//! How stale a value is to those who poll for it and to those whom it is pushed to, all at the same time, in a run of real seconds.
//! The value is changed from here, so that one clock knows when it changed and when each saw it.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::future::{join, join_all};

use super::request::{get, labelled, post};
use super::socket::Socket;
use super::{Fault, Stop, counts, new_run, now, pause, pause_until};
use crate::apps::compare::model::{Bytes, Staleness, Summary, Watched, Watcher, lateness};
use crate::apps::compare::wire::measure::{MIN_PAYLOAD, SEND_PATH, VALUE_PATH, WATCH_PATH, number, payload};
use duplex_leptos::socket::Payload;

const BOX: &str = "&box=value";

/// Milliseconds between two changes: at random, as from a source that knows nothing of who looks.
const MEAN_GAP: f64 = 2500.0;
const GAPS: std::ops::RangeInclusive<f64> = 300.0..=8000.0;
/// The last change is so long before the end that everybody could still see it.
const REST: f64 = 1000.0;

/// When a watcher saw which change as the newest.
type Sights = Rc<RefCell<Vec<(f64, u32)>>>;

/// `progress` hears the seconds that have passed.
pub async fn run(stop: Stop, progress: impl Fn(u32)) -> Result<Staleness, Fault> {
    let run = new_run();
    let sights: [Sights; Watcher::ALL.len()] = Default::default();
    let pushed = Rc::clone(&sights[0]);
    let hear = move |payload: &Payload| {
        if let Payload::Text(text) = payload
            && let Some(number) = number(text)
        {
            pushed.borrow_mut().push((now(), number));
        }
    };
    let socket = Socket::open(&labelled(WATCH_PATH, &run, Watcher::Push.name(), BOX), &[], hear).await?;
    let began = now();
    let end = began + f64::from(Watcher::SECONDS) * 1000.0;
    let polls = Watcher::ALL
        .iter()
        .zip(&sights)
        .filter_map(|(watcher, sights)| match watcher {
            Watcher::Push => None,
            Watcher::Poll(seconds) => Some(poll(*watcher, *seconds, &run, began, &stop, sights)),
        });
    let clock = tick(began, &stop, &progress);
    let (changes, _) = join(change(&run, began, end - REST, &stop), join(join_all(polls), clock)).await;
    let seconds = ((now() - began) / 1000.0).round() as u32;
    drop(socket);
    pause(100.0).await;
    let counts = counts(&run).await;
    let watched = Watcher::ALL.iter().zip(&sights).map(|(watcher, sights)| {
        let (late, missed) = lateness(&changes, &sights.borrow());
        let tally = counts.ways.get(watcher.name()).copied().unwrap_or_default();
        Watched {
            watcher: *watcher,
            late: Summary::of(&late),
            missed,
            requests: tally.requests as u32,
            bytes: Bytes {
                up: tally.bytes_in,
                down: tally.bytes_out,
            },
        }
    });
    Ok(Staleness {
        at: js_sys::Date::now() as u64,
        seconds,
        changes: changes.len() as u32,
        watched: watched.collect(),
    })
}

/// Changes the value until `end`; when the nth change was made.
async fn change(run: &str, began: f64, end: f64, stop: &Stop) -> Vec<f64> {
    let address = labelled(SEND_PATH, run, "source", BOX);
    let mut changes = Vec::new();
    let mut next = began;
    loop {
        let gap = -MEAN_GAP * (1.0 - js_sys::Math::random()).ln();
        next += gap.clamp(*GAPS.start(), *GAPS.end());
        if next > end {
            return changes;
        }
        pause_until(next, stop).await;
        if stop.is_stopped() {
            return changes;
        }
        changes.push(now());
        // A change that did not arrive is one that nobody sees.
        let _ = post(&address, &payload(changes.len() as u32, MIN_PAYLOAD)).await;
    }
}

/// Looks every so many seconds, the last time at the end.
async fn poll(watcher: Watcher, seconds: u32, run: &str, began: f64, stop: &Stop, sights: &Sights) {
    let address = labelled(VALUE_PATH, run, watcher.name(), BOX);
    for time in 1..=Watcher::SECONDS / seconds {
        pause_until(began + f64::from(time * seconds) * 1000.0, stop).await;
        if stop.is_stopped() {
            return;
        }
        if let Ok(text) = get(&address).await
            && let Some(number) = number(&text)
        {
            sights.borrow_mut().push((now(), number));
        }
    }
}

async fn tick(began: f64, stop: &Stop, progress: &impl Fn(u32)) {
    for second in 0..Watcher::SECONDS {
        progress(second);
        pause_until(began + f64::from(second + 1) * 1000.0, stop).await;
        if stop.is_stopped() {
            return;
        }
    }
}
