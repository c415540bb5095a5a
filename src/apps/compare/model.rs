//! What is measured and what follows from it: settings with their bounds, percentiles, histograms, results. Pure.

use serde::{Deserialize, Serialize};

use crate::apps::compare::wire::measure::{MAX_PAYLOAD, MIN_PAYLOAD};

/// Messages of a way, in both rounds together. Above this a session of the topics would be told to slow down.
pub const COUNTS: std::ops::RangeInclusive<u32> = 10..=250;
pub const PAYLOADS: std::ops::RangeInclusive<u32> = MIN_PAYLOAD as u32..=MAX_PAYLOAD as u32;
/// Messages in a second; 0 is as fast as it goes.
pub const RATES: std::ops::RangeInclusive<u32> = 0..=200;
/// Messages that wait for their answers at the same time. A browser has six connections for requests to one server.
pub const IN_FLIGHT: std::ops::RangeInclusive<u32> = 1..=32;
/// With a rate, a way takes no longer than this many seconds.
pub const LONGEST: u32 = 30;
/// Exchanges before those that are timed, in each round.
pub const WARM_UP: u32 = 5;
/// Each way is measured once in the order of the list and once in the reverse, with half of the messages each.
pub const ROUNDS: u32 = 2;

/// Names of ways are those that requests are labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Way {
    Socket,
    Topic,
    Fetch,
    Fresh,
    Sse,
    Poll,
    Function,
    Signal,
}

impl Way {
    pub const ALL: [Self; 8] = [
        Self::Socket,
        Self::Topic,
        Self::Fetch,
        Self::Fresh,
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
            Self::Fresh => "fresh",
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Function => "function",
            Self::Signal => "signal",
        }
    }

    /// Times that a message crosses the network: there and back, but for the topic, whose answer says only that it is kept.
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
    /// Some text, one after the other.
    pub const CHAT: Self = Self {
        payload: 120,
        count: 60,
        rate: 0,
        in_flight: 1,
    };
    /// Little, often, many on their way.
    pub const TICK: Self = Self {
        payload: 48,
        count: 200,
        rate: 0,
        in_flight: 6,
    };
    /// Very little, at a steady pace.
    pub const SENSOR: Self = Self {
        payload: 24,
        count: 40,
        rate: 10,
        in_flight: 1,
    };

    #[must_use]
    pub fn within_bounds(self) -> Self {
        let within = |value: u32, range: std::ops::RangeInclusive<u32>| value.clamp(*range.start(), *range.end());
        let rate = within(self.rate, RATES);
        let most = if rate == 0 {
            *COUNTS.end()
        } else {
            (rate * LONGEST).max(*COUNTS.start())
        };
        Self {
            payload: within(self.payload, PAYLOADS),
            count: within(self.count, COUNTS).min(most),
            rate,
            in_flight: within(self.in_flight, IN_FLIGHT),
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

/// The bin of a time in microseconds.
pub fn bin(us: u32) -> usize {
    let steps = (f64::from(us) / FIRST_BIN_US).log2() * 2.0;
    if steps <= 0.0 {
        0
    } else {
        (steps.ceil() as usize).min(BINS - 1)
    }
}

/// Where a bin ends, in microseconds; the last is open.
pub fn bin_end_us(bin: usize) -> f64 {
    FIRST_BIN_US * 2_f64.powf(bin as f64 / 2.0)
}

/// The nearest-rank percentile of a sorted list; 0 of an empty one.
pub fn percentile(sorted: &[u32], share: f64) -> u32 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or_default()
}

/// Times in microseconds, summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub count: u32,
    pub min: u32,
    pub p50: u32,
    pub p95: u32,
    pub p99: u32,
    pub max: u32,
    /// [`BINS`] counts, without the empty ones at the end.
    pub histogram: Vec<u32>,
}

impl Summary {
    pub fn of(times: &[u32]) -> Self {
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

/// Bytes in both directions, as the server's sockets counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    pub up: u64,
    pub down: u64,
}

impl Bytes {
    pub const fn both(self) -> u64 {
        self.up + self.down
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayResult {
    pub way: Way,
    pub latency: Summary,
    pub failed: u32,
    /// Of the timed messages, all rounds together.
    pub elapsed_us: u64,
    /// Of the timed messages alone.
    pub bytes: Bytes,
    /// Of everything else: opening, warm-up, closing.
    pub setup: Bytes,
    /// In all rounds.
    pub opened: u32,
    /// Of the whole server process, while the timed messages ran.
    pub cpu_us: u64,
    /// Over HTTP/2 one connection carries many requests at once, and no bytes could be counted.
    pub uncounted: bool,
}

impl WayResult {
    pub fn per_second(&self) -> f64 {
        per(f64::from(self.latency.count) * 1e6, self.elapsed_us)
    }

    pub fn bytes_each(&self) -> f64 {
        per(self.bytes.both() as f64, u64::from(self.latency.count))
    }

    /// The part of the bytes that is not the messages themselves, 0 to 1.
    pub fn overhead(&self, payload: u32) -> f64 {
        let useful = u64::from(self.latency.count) * u64::from(payload) * self.way.crossings();
        1.0 - per(useful as f64, self.bytes.both()).min(1.0)
    }

    pub fn cpu_each_us(&self) -> f64 {
        per(self.cpu_us as f64, u64::from(self.latency.count))
    }
}

fn per(amount: f64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { amount / of as f64 }
}

/// The same document loaded again and again, and one large document, by HTTP and over a WebSocket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Documents {
    pub size: u32,
    pub loads: u32,
    /// By `GET`: the first whole, the others by their tag.
    pub cached: Bytes,
    pub asked: Bytes,
    pub large: u32,
    pub download_us: u64,
    pub download: Bytes,
    pub pieces_us: u64,
    pub pieces: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    pub settings: Settings,
    /// Milliseconds since 1970, by the browser's clock.
    pub at: u64,
    pub ways: Vec<WayResult>,
    /// None: stopped before.
    pub documents: Option<Documents>,
    pub stopped: bool,
}

impl Results {
    pub fn way(&self, way: Way) -> Option<&WayResult> {
        self.ways
            .iter()
            .find(|result| result.way == way && result.latency.count > 0)
    }
}

/// Who watches a value that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watcher {
    Push,
    Poll(u32),
}

impl Watcher {
    pub const ALL: [Self; 4] = [Self::Push, Self::Poll(1), Self::Poll(5), Self::Poll(15)];
    /// Seconds of a run: each interval fits in without a rest, the longest three times.
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
pub struct Watched {
    pub watcher: Watcher,
    /// How late each change was seen that was seen at all, in microseconds.
    pub late: Summary,
    /// Changes that a newer one hid.
    pub missed: u32,
    pub requests: u32,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staleness {
    pub at: u64,
    /// Fewer than [`Watcher::SECONDS`] if it was stopped.
    pub seconds: u32,
    pub changes: u32,
    pub watched: Vec<Watched>,
}

/// How late changes were seen. `changes`: when the nth was made; `sights`: when which was the newest, in order.
pub fn lateness(changes: &[f64], sights: &[(f64, u32)]) -> (Vec<u32>, u32) {
    let mut late = Vec::new();
    let mut seen = 0;
    let mut missed = 0;
    for (at, number) in sights {
        if *number <= seen {
            continue;
        }
        missed += number - seen - 1;
        seen = *number;
        if let Some(changed) = changes.get(*number as usize - 1) {
            late.push(((at - changed).max(0.0) * 1000.0) as u32);
        }
    }
    let unseen = u32::try_from(changes.len()).unwrap_or(u32::MAX).saturating_sub(seen);
    (late, missed + unseen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_late_look_sees_the_newest_and_misses_what_it_hid() {
        let changes = [100.0, 200.0, 900.0, 1500.0];
        assert_eq!(lateness(&changes, &[(1000.0, 3), (1400.0, 3)]), (vec![100_000], 3));
        let pushed = [(101.0, 1), (202.0, 2), (901.0, 3), (1502.0, 4)];
        assert_eq!(lateness(&changes, &pushed), (vec![1000, 2000, 1000, 2000], 0));
        assert_eq!(lateness(&changes, &[]), (Vec::new(), 4));
        assert_eq!(lateness(&[], &[(1.0, 7)]), (Vec::new(), 6));
    }

    #[test]
    fn bins_end_where_they_say() {
        assert_eq!([bin(0), bin(200), bin(201), bin(283), bin(400)], [0, 0, 1, 2, 2]);
        assert_eq!(bin(u32::MAX), BINS - 1);
        for number in 1..BINS - 1 {
            let end = bin_end_us(number) as u32;
            assert_eq!((bin(end), bin(end + 1)), (number, number + 1));
        }
    }

    #[test]
    fn what_is_not_the_message_is_overhead() {
        let result = WayResult {
            way: Way::Socket,
            latency: Summary::of(&[1000, 2000]),
            failed: 0,
            elapsed_us: 4000,
            bytes: Bytes { up: 216, down: 204 },
            setup: Bytes::default(),
            opened: 2,
            cpu_us: 50,
            uncounted: false,
        };
        assert_eq!(result.bytes_each(), 210.0);
        assert_eq!(result.per_second(), 500.0);
        assert_eq!(result.cpu_each_us(), 25.0);
        assert!((result.overhead(100) - 20.0 / 420.0).abs() < 1e-9);
        let nothing = WayResult {
            latency: Summary::default(),
            bytes: Bytes::default(),
            elapsed_us: 0,
            ..result
        };
        assert_eq!(
            (nothing.bytes_each(), nothing.overhead(100), nothing.per_second()),
            (0.0, 1.0, 0.0)
        );
    }

    proptest! {
        #[test]
        fn a_summary_is_of_what_was_measured(times in prop::collection::vec(0u32..2_000_000, 0..300)) {
            let summary = Summary::of(&times);
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
        fn settings_are_brought_within_bounds(payload: u32, count: u32, rate: u32, in_flight: u32) {
            let settings = Settings { payload, count, rate, in_flight }.within_bounds();
            prop_assert!(PAYLOADS.contains(&settings.payload) && COUNTS.contains(&settings.count));
            prop_assert!(RATES.contains(&settings.rate) && IN_FLIGHT.contains(&settings.in_flight));
            prop_assert!(settings.rate == 0 || settings.count <= (settings.rate * LONGEST).max(10));
            prop_assert_eq!(settings.within_bounds(), settings);
        }

        #[test]
        fn every_change_is_seen_or_missed(gaps in prop::collection::vec(1.0f64..5000.0, 0..40), looks in prop::collection::vec(1.0f64..9000.0, 0..40)) {
            let sum = |gaps: &[f64]| gaps.iter().scan(0.0, |at, gap| { *at += gap; Some(*at) }).collect::<Vec<_>>();
            let changes = sum(&gaps);
            let sights: Vec<_> = sum(&looks).into_iter()
                .map(|at| (at, changes.iter().filter(|change| **change <= at).count() as u32)).collect();
            let (late, missed) = lateness(&changes, &sights);
            prop_assert_eq!(late.len() + missed as usize, changes.len());
        }
    }
}
