//! A run over all transports: each is measured twice, in list order and then in reverse, with a warm-up each time. The server's
//! counts are fetched right before and after the timed messages.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;

use super::function::{FunctionExchange, SignalExchange};
use super::http::{FetchExchange, PollExchange, SseExchange};
use super::request::labelled;
use super::socket::SocketExchange;
use super::topic::TopicExchange;
use super::{
    CLOSE_DELAY_MS, Exchange, ExchangeError, StopFlag, documents, fetch_counts, new_run_id, now, sleep, sleep_until,
};
use crate::apps::compare::model::{Bytes, ROUNDS, Results, Settings, Summary, Transport, TransportResult, WARM_UP};
use crate::apps::compare::wire::measure::{TrafficCounts, payload};
use duplex_protocol::session::SESSION_PATH;

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// `None` while documents are measured.
    pub transport: Option<Transport>,
    /// Completed steps, of [`total`](Self::total).
    pub done: u32,
    pub total: u32,
}

/// Message numbers reserved for each round.
const NUMBERS_PER_ROUND: u32 = 10_000;

/// The path of the echo page's WebSocket.
const ECHO: &str = "/api/echo";

/// The measurements of one transport so far.
#[derive(Default)]
struct Samples {
    times: Vec<u32>,
    failed: u32,
    elapsed_us: u64,
    timed: TrafficCounts,
    cpu_us: u64,
}

pub async fn run(settings: Settings, stop: StopFlag, progress: impl Fn(Progress)) -> Results {
    let run = new_run_id();
    let mut samples: Vec<Samples> = Transport::ALL.iter().map(|_| Samples::default()).collect();
    let total = ROUNDS * Transport::ALL.len() as u32 + 1;
    let mut done = 0;
    for round in 0..ROUNDS {
        let mut order: Vec<usize> = (0..Transport::ALL.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (Some(transport), Some(samples)) = (Transport::ALL.get(index), samples.get_mut(index)) else {
                continue;
            };
            if stop.is_stopped() {
                continue;
            }
            let transport = *transport;
            progress(Progress {
                transport: Some(transport),
                done,
                total,
            });
            if let Err(error) = measure_transport(transport, settings, &run, round, &stop, samples).await {
                leptos::logging::warn!("{}: {error}", transport.name());
                samples.failed += 1;
            }
            done += 1;
        }
    }
    progress(Progress {
        transport: None,
        done,
        total,
    });
    let documents = documents::measure(&run, &stop).await;
    sleep(CLOSE_DELAY_MS).await;
    let totals = fetch_counts(&run).await;
    let transports = Transport::ALL.iter().zip(samples);
    let to_result = |(transport, samples): (&Transport, Samples)| {
        let total = totals.transports.get(transport.name()).copied().unwrap_or_default();
        transport_result(*transport, samples, total)
    };
    Results {
        settings,
        at: js_sys::Date::now() as u64,
        transports: transports.map(to_result).collect(),
        documents,
        stopped: stop.is_stopped(),
    }
}

fn transport_result(transport: Transport, samples: Samples, total: TrafficCounts) -> TransportResult {
    let timed = samples.timed;
    let untimed = total.since(timed);
    TransportResult {
        transport,
        latency: Summary::from_times(&samples.times),
        failed: samples.failed,
        elapsed_us: samples.elapsed_us,
        bytes: Bytes {
            up: timed.bytes_in,
            down: timed.bytes_out,
        },
        setup: Bytes {
            up: untimed.bytes_in,
            down: untimed.bytes_out,
        },
        opened: total.opened as u32,
        cpu_us: samples.cpu_us,
        bytes_unknown: total.multiplexed > 0 || total.requests == 0,
    }
}

async fn open(transport: Transport, run: &str) -> Result<Box<dyn Exchange>, ExchangeError> {
    let labelled = |path| labelled(path, run, transport.name(), "");
    Ok(match transport {
        Transport::Socket => Box::new(SocketExchange::open(&labelled(ECHO)).await?),
        Transport::Topic => Box::new(TopicExchange::open(&labelled(SESSION_PATH), run).await?),
        Transport::Fetch | Transport::NewConnection => Box::new(FetchExchange::new(run, transport)),
        Transport::Sse => Box::new(SseExchange::open(run).await?),
        Transport::Poll => Box::new(PollExchange::open(run).await?),
        Transport::Function => Box::new(FunctionExchange::new(run)),
        Transport::Signal => Box::new(SignalExchange::open(run).await?),
    })
}

/// Measures one transport in one round.
async fn measure_transport(
    transport: Transport,
    settings: Settings,
    run: &str,
    round: u32,
    stop: &StopFlag,
    samples: &mut Samples,
) -> Result<(), ExchangeError> {
    let exchange = open(transport, run).await?;
    let size = settings.payload as usize;
    let first = round * NUMBERS_PER_ROUND;
    for number in first..first + WARM_UP {
        exchange.exchange(number, payload(number, size)).await?;
    }
    let (name, before) = (transport.name(), fetch_counts(run).await);
    let window = SendWindow {
        exchange: &*exchange,
        size,
        // A signal holds only the latest value, so a second message in flight would overwrite the first.
        in_flight: if transport == Transport::Signal {
            1
        } else {
            settings.in_flight
        },
        gap: if settings.rate == 0 {
            0.0
        } else {
            1000.0 / f64::from(settings.rate)
        },
        started: now(),
        first: first + WARM_UP,
        count: messages_in_round(settings.count, round),
        next: Cell::new(0),
        times: RefCell::default(),
        failed: Cell::new(0),
        stop,
    };
    window.exchange_all().await;
    samples.elapsed_us += ((now() - window.started) * 1000.0) as u64;
    samples.times.extend(window.times.take());
    samples.failed += window.failed.get();
    let after = fetch_counts(run).await;
    let counts_of = |transports: &std::collections::BTreeMap<String, TrafficCounts>| {
        transports.get(name).copied().unwrap_or_default()
    };
    let timed = counts_of(&after.transports).since(counts_of(&before.transports));
    samples.timed.bytes_in += timed.bytes_in;
    samples.timed.bytes_out += timed.bytes_out;
    samples.timed.requests += timed.requests;
    samples.cpu_us += after.cpu_us.saturating_sub(before.cpu_us);
    Ok(())
}

/// Splits `count` over the rounds; the first round gets the remainder.
const fn messages_in_round(count: u32, round: u32) -> u32 {
    (count + ROUNDS - 1 - round) / ROUNDS
}

/// Sends `count` messages with at most `in_flight` unanswered.
struct SendWindow<'a> {
    exchange: &'a dyn Exchange,
    size: usize,
    in_flight: u32,
    /// Minimum milliseconds between the starts of two messages.
    gap: f64,
    started: f64,
    first: u32,
    count: u32,
    next: Cell<u32>,
    times: RefCell<Vec<u32>>,
    failed: Cell<u32>,
    stop: &'a StopFlag,
}

impl SendWindow<'_> {
    async fn exchange_all(&self) {
        join_all((0..self.in_flight).map(|_| self.worker())).await;
    }

    async fn worker(&self) {
        loop {
            let index = self.next.get();
            if index >= self.count || self.stop.is_stopped() {
                return;
            }
            self.next.set(index + 1);
            if self.gap > 0.0 {
                sleep_until(self.started + f64::from(index) * self.gap, self.stop).await;
            }
            let number = self.first + index;
            let text = payload(number, self.size);
            let sent = now();
            match self.exchange.exchange(number, text).await {
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
    fn the_rounds_add_up_to_all_messages() {
        for count in [10, 11, 250] {
            assert_eq!(
                (0..ROUNDS).map(|round| messages_in_round(count, round)).sum::<u32>(),
                count
            );
        }
    }
}
