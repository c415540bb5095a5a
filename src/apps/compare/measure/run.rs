//! A run: every way in turn, twice, in the order of the list and then in the reverse, warmed up each time. Between the counts
//! before and after the timed messages lie those messages alone.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;

use super::function::{Function, Signal};
use super::lines::{Events, Polls, Requests};
use super::request::labelled;
use super::socket::Echo;
use super::topic::Commands;
use super::{Exchange, Fault, Stop, counts, documents, new_run, now, pause, pause_until};
use crate::apps::compare::model::{Bytes, ROUNDS, Results, Settings, Summary, WARM_UP, Way, WayResult};
use crate::apps::compare::wire::measure::{TrafficCounts, payload};
use duplex_protocol::session::SESSION_PATH;

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// None: the documents.
    pub way: Option<Way>,
    /// Blocks that are done.
    pub done: u32,
    pub of: u32,
}

/// Numbers of a block's messages begin here, times the round.
const PER_ROUND: u32 = 10_000;

/// The echo's own, which belongs to another page.
const ECHO: &str = "/api/echo";

/// What was measured of one way up to now.
#[derive(Default)]
struct Gathered {
    times: Vec<u32>,
    failed: u32,
    elapsed_us: u64,
    timed: TrafficCounts,
    cpu_us: u64,
}

pub async fn run(settings: Settings, stop: Stop, progress: impl Fn(Progress)) -> Results {
    let run = new_run();
    let mut gathered: Vec<Gathered> = Way::ALL.iter().map(|_| Gathered::default()).collect();
    let of = ROUNDS * Way::ALL.len() as u32 + 1;
    let mut done = 0;
    for round in 0..ROUNDS {
        let mut order: Vec<usize> = (0..Way::ALL.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (Some(way), Some(into)) = (Way::ALL.get(index), gathered.get_mut(index)) else {
                continue;
            };
            if stop.is_stopped() {
                continue;
            }
            let way = *way;
            progress(Progress {
                way: Some(way),
                done,
                of,
            });
            if let Err(fault) = block(way, settings, &run, round, &stop, into).await {
                leptos::logging::warn!("{}: {fault}", way.name());
                into.failed += 1;
            }
            done += 1;
        }
    }
    progress(Progress { way: None, done, of });
    let documents = documents::measure(&run, &stop).await;
    pause(100.0).await;
    let totals = counts(&run).await;
    let ways = Way::ALL.iter().zip(gathered);
    let of_way = |(way, gathered): (&Way, Gathered)| {
        let total = totals.ways.get(way.name()).copied().unwrap_or_default();
        summed(*way, gathered, total)
    };
    Results {
        settings,
        at: js_sys::Date::now() as u64,
        ways: ways.map(of_way).collect(),
        documents,
        stopped: stop.is_stopped(),
    }
}

fn summed(way: Way, gathered: Gathered, total: TrafficCounts) -> WayResult {
    let timed = gathered.timed;
    let rest = total.since(timed);
    WayResult {
        way,
        latency: Summary::of(&gathered.times),
        failed: gathered.failed,
        elapsed_us: gathered.elapsed_us,
        bytes: Bytes {
            up: timed.bytes_in,
            down: timed.bytes_out,
        },
        setup: Bytes {
            up: rest.bytes_in,
            down: rest.bytes_out,
        },
        opened: total.opened as u32,
        cpu_us: gathered.cpu_us,
        uncounted: total.multiplexed > 0 || total.requests == 0,
    }
}

async fn open(way: Way, run: &str) -> Result<Box<dyn Exchange>, Fault> {
    let labelled = |path| labelled(path, run, way.name(), "");
    Ok(match way {
        Way::Socket => Box::new(Echo::open(&labelled(ECHO)).await?),
        Way::Topic => Box::new(Commands::open(&labelled(SESSION_PATH), run).await?),
        Way::Fetch | Way::Fresh => Box::new(Requests::new(run, way)),
        Way::Sse => Box::new(Events::open(run).await?),
        Way::Poll => Box::new(Polls::open(run).await?),
        Way::Function => Box::new(Function::new(run)),
        Way::Signal => Box::new(Signal::open(run).await?),
    })
}

/// One way in one round.
async fn block(
    way: Way,
    settings: Settings,
    run: &str,
    round: u32,
    stop: &Stop,
    into: &mut Gathered,
) -> Result<(), Fault> {
    let line = open(way, run).await?;
    let size = settings.payload as usize;
    let first = round * PER_ROUND;
    for number in first..first + WARM_UP {
        line.exchange(number, payload(number, size)).await?;
    }
    let (name, before) = (way.name(), counts(run).await);
    let window = Window {
        line: &*line,
        size,
        // A signal holds one value: a newer one would take an older one's place.
        in_flight: if way == Way::Signal { 1 } else { settings.in_flight },
        gap: if settings.rate == 0 {
            0.0
        } else {
            1000.0 / f64::from(settings.rate)
        },
        began: now(),
        first: first + WARM_UP,
        count: share(settings.count, round),
        next: Cell::new(0),
        times: RefCell::default(),
        failed: Cell::new(0),
        stop,
    };
    window.exchange_all().await;
    into.elapsed_us += ((now() - window.began) * 1000.0) as u64;
    into.times.extend(window.times.take());
    into.failed += window.failed.get();
    let after = counts(run).await;
    let of = |ways: &std::collections::BTreeMap<String, TrafficCounts>| ways.get(name).copied().unwrap_or_default();
    let timed = of(&after.ways).since(of(&before.ways));
    into.timed.bytes_in += timed.bytes_in;
    into.timed.bytes_out += timed.bytes_out;
    into.timed.requests += timed.requests;
    into.cpu_us += after.cpu_us.saturating_sub(before.cpu_us);
    Ok(())
}

/// The messages of one round; the first has the odd one.
const fn share(count: u32, round: u32) -> u32 {
    (count + ROUNDS - 1 - round) / ROUNDS
}

/// So many messages, of which so many wait at the same time, begun no faster than so.
struct Window<'a> {
    line: &'a dyn Exchange,
    size: usize,
    in_flight: u32,
    /// Milliseconds between the beginnings of two messages.
    gap: f64,
    began: f64,
    first: u32,
    count: u32,
    next: Cell<u32>,
    times: RefCell<Vec<u32>>,
    failed: Cell<u32>,
    stop: &'a Stop,
}

impl Window<'_> {
    async fn exchange_all(&self) {
        join_all((0..self.in_flight).map(|_| self.work())).await;
    }

    async fn work(&self) {
        loop {
            let index = self.next.get();
            if index >= self.count || self.stop.is_stopped() {
                return;
            }
            self.next.set(index + 1);
            if self.gap > 0.0 {
                pause_until(self.began + f64::from(index) * self.gap, self.stop).await;
            }
            let number = self.first + index;
            let text = payload(number, self.size);
            let sent = now();
            match self.line.exchange(number, text).await {
                Ok(at) => self.times.borrow_mut().push(((at - sent).max(0.0) * 1000.0) as u32),
                Err(_) => self.failed.set(self.failed.get() + 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounds_have_all_messages_between_them() {
        for count in [10, 11, 250] {
            assert_eq!((0..ROUNDS).map(|round| share(count, round)).sum::<u32>(), count);
        }
    }
}
