//! Settings with their limits, and results with percentiles and histograms. Pure.

use serde::{Deserialize, Serialize};

use crate::apps::compare::wire::measure::{MAX_PAYLOAD, MIN_PAYLOAD};

/// Messages per transport, over both rounds. More would exceed a session's command rate limit.
pub const COUNTS: std::ops::RangeInclusive<u32> = 10..=250;
pub const PAYLOADS: std::ops::RangeInclusive<u32> = MIN_PAYLOAD as u32..=MAX_PAYLOAD as u32;
/// Messages a second; 0 means as fast as possible.
pub const RATES: std::ops::RangeInclusive<u32> = 0..=200;
/// Messages that are in flight at the same time. A browser opens at most six HTTP/1.1 connections to one server.
pub const IN_FLIGHT: std::ops::RangeInclusive<u32> = 1..=32;
/// Maximum duration of one transport's messages at a fixed rate, in seconds.
pub const MAX_SECONDS: u32 = 30;
/// Untimed exchanges at the start of each round.
pub const WARM_UP: u32 = 5;
/// Each transport is measured once in list order and once in reverse, with half of the messages each.
pub const ROUNDS: u32 = 2;

/// A measured transport. Its name also labels its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// A WebSocket echo.
    Socket,
    /// A topic's commands over a session.
    Topic,
    /// `fetch` on kept-alive connections.
    Fetch,
    /// `fetch` with a new connection for each request.
    #[serde(rename = "Fresh")]
    NewConnection,
    /// Posts whose reply arrives over server-sent events.
    Sse,
    /// Posts whose reply arrives over a long poll.
    Poll,
    /// A Leptos server function.
    Function,
    /// A `leptos_ws` signal.
    Signal,
}

impl Transport {
    pub const ALL: [Self; 8] = [
        Self::Socket,
        Self::Topic,
        Self::Fetch,
        Self::NewConnection,
        Self::Sse,
        Self::Poll,
        Self::Function,
        Self::Signal,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Topic => "topic",
            Self::Fetch => "fetch",
            Self::NewConnection => "fresh",
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Function => "function",
            Self::Signal => "signal",
        }
    }

    /// How many times the payload crosses the network: twice for an echo, once for the topic, whose reply has no payload.
    pub const fn crossings(self) -> u64 {
        match self {
            Self::Topic => 1,
            _ => 2,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub payload: u32,
    pub count: u32,
    pub rate: u32,
    pub in_flight: u32,
}

impl Settings {
    /// Preset: short texts, one at a time.
    pub const CHAT: Self = Self {
        payload: 120,
        count: 60,
        rate: 0,
        in_flight: 1,
    };
    /// Preset: small messages, many in flight.
    pub const TICK: Self = Self {
        payload: 48,
        count: 200,
        rate: 0,
        in_flight: 6,
    };
    /// Preset: tiny messages at a fixed rate.
    pub const SENSOR: Self = Self {
        payload: 24,
        count: 40,
        rate: 10,
        in_flight: 1,
    };

    #[must_use]
    pub fn clamped(self) -> Self {
        let clamp = |value: u32, range: std::ops::RangeInclusive<u32>| value.clamp(*range.start(), *range.end());
        let rate = clamp(self.rate, RATES);
        let max_count = if rate == 0 {
            *COUNTS.end()
        } else {
            (rate * MAX_SECONDS).max(*COUNTS.start())
        };
        Self {
            payload: clamp(self.payload, PAYLOADS),
            count: clamp(self.count, COUNTS).min(max_count),
            rate,
            in_flight: clamp(self.in_flight, IN_FLIGHT),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::CHAT
    }
}

/// Bins of a histogram; each but the last is half an octave wide, and the first ends at [`FIRST_BIN_US`].
pub const BINS: usize = 24;
pub const FIRST_BIN_US: f64 = 200.0;

/// The histogram bin of a time in microseconds.
pub fn bin(us: u32) -> usize {
    let steps = (f64::from(us) / FIRST_BIN_US).log2() * 2.0;
    if steps <= 0.0 {
        0
    } else {
        (steps.ceil() as usize).min(BINS - 1)
    }
}

/// The upper bound of a bin in microseconds; the last bin is unbounded.
pub fn bin_end_us(bin: usize) -> f64 {
    FIRST_BIN_US * 2_f64.powf(bin as f64 / 2.0)
}

/// The nearest-rank percentile of a sorted list; 0 of an empty one.
pub fn percentile(sorted: &[u32], fraction: f64) -> u32 {
    let rank = (fraction * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or_default()
}

/// A summary of times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub count: u32,
    pub min: u32,
    pub p50: u32,
    pub p95: u32,
    pub p99: u32,
    pub max: u32,
    /// Up to [`BINS`] counts, without trailing zeros.
    pub histogram: Vec<u32>,
}

impl Summary {
    pub fn from_times(times: &[u32]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let mut histogram = Vec::new();
        for time in &sorted {
            let bin = bin(*time);
            if histogram.len() <= bin {
                histogram.resize(bin + 1, 0);
            }
            if let Some(count) = histogram.get_mut(bin) {
                *count += 1;
            }
        }
        Self {
            count: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
            min: percentile(&sorted, 0.0),
            p50: percentile(&sorted, 0.5),
            p95: percentile(&sorted, 0.95),
            p99: percentile(&sorted, 0.99),
            max: percentile(&sorted, 1.0),
            histogram,
        }
    }
}

/// Bytes in both directions, as counted by the server's sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    pub up: u64,
    pub down: u64,
}

impl Bytes {
    pub const fn total(self) -> u64 {
        self.up + self.down
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportResult {
    #[serde(rename = "way")]
    pub transport: Transport,
    pub latency: Summary,
    pub failed: u32,
    /// Duration of the timed messages of all rounds.
    pub elapsed_us: u64,
    /// Bytes of the timed messages.
    pub bytes: Bytes,
    /// Bytes of everything else: opening, warm-up, closing.
    pub setup: Bytes,
    /// Connections opened in all rounds.
    pub opened: u32,
    /// CPU time of the whole server process during the timed messages.
    pub cpu_us: u64,
    /// Whether the bytes are unknown: HTTP/2 multiplexes requests, or no request was counted.
    #[serde(rename = "uncounted")]
    pub bytes_unknown: bool,
}

impl TransportResult {
    pub fn per_second(&self) -> f64 {
        quotient(f64::from(self.latency.count) * 1e6, self.elapsed_us)
    }

    pub fn bytes_per_message(&self) -> f64 {
        quotient(self.bytes.total() as f64, u64::from(self.latency.count))
    }

    /// The fraction of the bytes that is not payload, from 0 to 1.
    pub fn overhead(&self, payload: u32) -> f64 {
        let useful = u64::from(self.latency.count) * u64::from(payload) * self.transport.crossings();
        1.0 - quotient(useful as f64, self.bytes.total()).min(1.0)
    }

    pub fn cpu_us_per_message(&self) -> f64 {
        quotient(self.cpu_us as f64, u64::from(self.latency.count))
    }
}

fn quotient(amount: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { amount / count as f64 }
}

/// Repeated loads of one document, and one large document, each by HTTP and over a WebSocket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Documents {
    #[serde(rename = "size")]
    pub document_bytes: u32,
    pub loads: u32,
    /// Over HTTP `GET`: the first load is complete, the others are revalidated with the ETag.
    pub cached: Bytes,
    /// Over a WebSocket, each in full.
    #[serde(rename = "asked")]
    pub requested: Bytes,
    #[serde(rename = "large")]
    pub large_document_bytes: u32,
    pub download_us: u64,
    pub download: Bytes,
    #[serde(rename = "pieces_us")]
    pub chunks_us: u64,
    #[serde(rename = "pieces")]
    pub chunks: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    pub settings: Settings,
    /// Milliseconds since 1970, by the browser's clock.
    pub at: u64,
    #[serde(rename = "ways")]
    pub transports: Vec<TransportResult>,
    /// `None` if the run was stopped earlier.
    pub documents: Option<Documents>,
    pub stopped: bool,
}

impl Results {
    pub fn transport(&self, transport: Transport) -> Option<&TransportResult> {
        self.transports
            .iter()
            .find(|result| result.transport == transport && result.latency.count > 0)
    }
}

/// A watcher of a changing value, which learns of changes by push or by polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watcher {
    Push,
    Poll(u32),
}

impl Watcher {
    pub const ALL: [Self; 4] = [Self::Push, Self::Poll(1), Self::Poll(5), Self::Poll(15)];
    /// Seconds of a run: a multiple of each interval.
    pub const SECONDS: u32 = 45;

    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Poll(1) => "poll1",
            Self::Poll(5) => "poll5",
            Self::Poll(_) => "poll15",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatcherResult {
    pub watcher: Watcher,
    /// Delay of each observed change, in microseconds.
    #[serde(rename = "late")]
    pub delay: Summary,
    /// Changes that were overwritten before they were observed.
    pub missed: u32,
    pub requests: u32,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staleness {
    pub at: u64,
    /// Fewer than [`Watcher::SECONDS`] if the run was stopped.
    pub seconds: u32,
    pub changes: u32,
    #[serde(rename = "watched")]
    pub results: Vec<WatcherResult>,
}

/// The delay of each observed change, and the number of missed ones. `changes[n]` is the time of change n + 1. `observations` are
/// pairs of time and newest change number, in time order.
pub fn observed_delays(changes: &[f64], observations: &[(f64, u32)]) -> (Vec<u32>, u32) {
    let mut delays = Vec::new();
    let mut seen = 0;
    let mut missed = 0;
    for (at, number) in observations {
        if *number <= seen {
            continue;
        }
        missed += number - seen - 1;
        seen = *number;
        if let Some(changed) = changes.get(*number as usize - 1) {
            delays.push(((at - changed).max(0.0) * 1000.0) as u32);
        }
    }
    let unseen = u32::try_from(changes.len()).unwrap_or(u32::MAX).saturating_sub(seen);
    (delays, missed + unseen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_late_poll_observes_the_newest_change_and_misses_earlier_ones() {
        let changes = [100.0, 200.0, 900.0, 1500.0];
        assert_eq!(
            observed_delays(&changes, &[(1000.0, 3), (1400.0, 3)]),
            (vec![100_000], 3)
        );
        let pushed = [(101.0, 1), (202.0, 2), (901.0, 3), (1502.0, 4)];
        assert_eq!(observed_delays(&changes, &pushed), (vec![1000, 2000, 1000, 2000], 0));
        assert_eq!(observed_delays(&changes, &[]), (Vec::new(), 4));
        assert_eq!(observed_delays(&[], &[(1.0, 7)]), (Vec::new(), 6));
    }

    #[test]
    fn bins_end_at_their_bounds() {
        assert_eq!([bin(0), bin(200), bin(201), bin(283), bin(400)], [0, 0, 1, 2, 2]);
        assert_eq!(bin(u32::MAX), BINS - 1);
        for number in 1..BINS - 1 {
            let end = bin_end_us(number) as u32;
            assert_eq!((bin(end), bin(end + 1)), (number, number + 1));
        }
    }

    #[test]
    fn overhead_is_the_fraction_without_payload() {
        let result = TransportResult {
            transport: Transport::Socket,
            latency: Summary::from_times(&[1000, 2000]),
            failed: 0,
            elapsed_us: 4000,
            bytes: Bytes { up: 216, down: 204 },
            setup: Bytes::default(),
            opened: 2,
            cpu_us: 50,
            bytes_unknown: false,
        };
        assert_eq!(result.bytes_per_message(), 210.0);
        assert_eq!(result.per_second(), 500.0);
        assert_eq!(result.cpu_us_per_message(), 25.0);
        assert!((result.overhead(100) - 20.0 / 420.0).abs() < 1e-9);
        let nothing = TransportResult {
            latency: Summary::default(),
            bytes: Bytes::default(),
            elapsed_us: 0,
            ..result
        };
        assert_eq!(
            (nothing.bytes_per_message(), nothing.overhead(100), nothing.per_second()),
            (0.0, 1.0, 0.0)
        );
    }

    proptest! {
        #[test]
        fn a_summary_matches_its_times(times in prop::collection::vec(0u32..2_000_000, 0..300)) {
            let summary = Summary::from_times(&times);
            prop_assert_eq!(summary.count as usize, times.len());
            prop_assert_eq!(summary.histogram.iter().sum::<u32>(), summary.count);
            prop_assert!(summary.histogram.len() <= BINS);
            prop_assert_eq!(summary.min, times.iter().copied().min().unwrap_or(0));
            prop_assert_eq!(summary.max, times.iter().copied().max().unwrap_or(0));
            prop_assert!(summary.min <= summary.p50 && summary.p50 <= summary.p95);
            prop_assert!(summary.p95 <= summary.p99 && summary.p99 <= summary.max);
            let within = times.iter().filter(|time| **time <= summary.p95).count();
            prop_assert!(within as f64 >= 0.95 * times.len() as f64);
        }

        #[test]
        fn settings_are_clamped(payload: u32, count: u32, rate: u32, in_flight: u32) {
            let settings = Settings { payload, count, rate, in_flight }.clamped();
            prop_assert!(PAYLOADS.contains(&settings.payload) && COUNTS.contains(&settings.count));
            prop_assert!(RATES.contains(&settings.rate) && IN_FLIGHT.contains(&settings.in_flight));
            prop_assert!(settings.rate == 0 || settings.count <= (settings.rate * MAX_SECONDS).max(10));
            prop_assert_eq!(settings.clamped(), settings);
        }

        #[test]
        fn every_change_is_observed_or_missed(gaps in prop::collection::vec(1.0f64..5000.0, 0..40), polls in prop::collection::vec(1.0f64..9000.0, 0..40)) {
            let sum = |gaps: &[f64]| gaps.iter().scan(0.0, |at, gap| { *at += gap; Some(*at) }).collect::<Vec<_>>();
            let changes = sum(&gaps);
            let observations: Vec<_> = sum(&polls).into_iter()
                .map(|at| (at, changes.iter().filter(|change| **change <= at).count() as u32)).collect();
            let (delays, missed) = observed_delays(&changes, &observations);
            prop_assert_eq!(delays.len() + missed as usize, changes.len());
        }
    }
}
