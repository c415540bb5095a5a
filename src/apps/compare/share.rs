//! Results in a link: postcard, then letters that an address takes as they are. What comes from a link is somebody's, and checked. Pure.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::model::{BINS, Results, Staleness, Summary, Watcher, Way};
use duplex_protocol::codec::Encoding;

/// Stands before the letters in the address's fragment. Another form of the results gets another number.
pub const PREFIX: &str = "r1=";

/// Characters of the letters: more than results ever take, and little enough for any browser's address.
const LONGEST: usize = 6000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    pub results: Option<Results>,
    pub staleness: Option<Staleness>,
}

impl Shared {
    pub const fn is_empty(&self) -> bool {
        self.results.is_none() && self.staleness.is_none()
    }

    /// The fragment without its `#`.
    pub fn to_fragment(&self) -> String {
        let bytes = Encoding::Postcard.encode(self).unwrap_or_default();
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// None: no results, or none that could have been measured.
    pub fn of_fragment(fragment: &str) -> Option<Self> {
        let letters = fragment.trim_start_matches('#').strip_prefix(PREFIX)?;
        if letters.len() > LONGEST {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(letters.as_bytes()).ok()?;
        let shared: Self = Encoding::Postcard.decode(&bytes).ok()?;
        (shared.is_plausible() && !shared.is_empty()).then_some(shared)
    }

    fn is_plausible(&self) -> bool {
        let results = self.results.as_ref().is_none_or(|results| {
            let ways = results.ways.iter().map(|result| result.way);
            let bytes = |result: &super::model::WayResult| result.bytes.up < MUCH && result.bytes.down < MUCH;
            results.settings.within_bounds() == results.settings
                && ways.eq(Way::ALL)
                && results
                    .ways
                    .iter()
                    .all(|result| is_summary(&result.latency) && bytes(result))
        });
        let staleness = self.staleness.as_ref().is_none_or(|staleness| {
            let watchers = staleness.watched.iter().map(|watched| watched.watcher);
            watchers.eq(Watcher::ALL)
                && staleness
                    .watched
                    .iter()
                    .all(|watched| is_summary(&watched.late) && watched.bytes.up < MUCH && watched.bytes.down < MUCH)
        });
        results && staleness
    }
}

/// Sums of so many bytes cannot overflow.
const MUCH: u64 = 1 << 48;

fn is_summary(summary: &Summary) -> bool {
    summary.histogram.len() <= BINS
        && summary.histogram.iter().map(|count| u64::from(*count)).sum::<u64>() == u64::from(summary.count)
}

#[cfg(test)]
mod tests {
    use super::super::model::{Bytes, Documents, Settings, Watched, WayResult};
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn bytes()(up in 0u64..MUCH, down in 0u64..MUCH) -> Bytes { Bytes { up, down } }
    }
    prop_compose! {
        fn results()(
            times in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..60), 8),
            bytes in prop::collection::vec((bytes(), bytes()), 8),
            payload in 16u32..16_384, count in 10u32..250, at: u64, stopped: bool, documents: Option<u32>,
        ) -> Results {
            let way = |index: usize| WayResult {
                way: Way::ALL[index],
                latency: Summary::of(&times[index]),
                failed: index as u32,
                elapsed_us: u64::from(count),
                bytes: bytes[index].0,
                setup: bytes[index].1,
                opened: count,
                cpu_us: at,
                uncounted: stopped,
            };
            Results {
                settings: Settings { payload, count, rate: 0, in_flight: 1 },
                at,
                ways: (0..8).map(way).collect(),
                documents: documents.map(|size| Documents { size, ..Documents::default() }),
                stopped,
            }
        }
    }
    prop_compose! {
        fn staleness()(times in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..30), 4), at: u64) -> Staleness {
            let watched = |index: usize| Watched {
                watcher: Watcher::ALL[index],
                late: Summary::of(&times[index]),
                missed: 1,
                requests: 2,
                bytes: Bytes { up: 3, down: 4 },
            };
            Staleness { at, seconds: 45, changes: 9, watched: (0..4).map(watched).collect() }
        }
    }

    proptest! {
        #[test]
        fn a_link_says_what_was_measured(results in prop::option::of(results()), staleness in prop::option::of(staleness())) {
            let shared = Shared { results, staleness };
            let fragment = shared.to_fragment();
            prop_assert!(fragment.len() < LONGEST);
            let expected = (!shared.is_empty()).then_some(shared);
            prop_assert_eq!(Shared::of_fragment(&format!("#{fragment}")), expected);
        }

        #[test]
        fn no_link_breaks_the_page(fragment in "[-_A-Za-z0-9=]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Shared::of_fragment(&fragment);
            let _ = Shared::of_fragment(&format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)));
        }

        #[test]
        fn results_that_cannot_be_are_none(results in results(), which in 0u8..3) {
            let mut results = results;
            match which {
                0 => results.settings.payload = 1,
                1 => results.ways.truncate(7),
                _ => results.ways[0].latency.count += 1,
            }
            let shared = Shared { results: Some(results), staleness: None };
            prop_assert_eq!(Shared::of_fragment(&shared.to_fragment()), None);
        }
    }
}
