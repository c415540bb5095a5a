//! `SharedResults`: results encoded in a URL fragment (postcard, base64url). A fragment is untrusted and is validated. Pure.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::model::{BINS, Results, Staleness, Summary, Transport, Watcher};
use duplex_protocol::codec::Encoding;

/// The prefix of the URL fragment, with the version of the encoding.
pub const PREFIX: &str = "r1=";

/// Maximum length of the encoded results: larger than any valid result, and within every browser's URL limit.
const MAX_FRAGMENT: usize = 6000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedResults {
    pub results: Option<Results>,
    pub staleness: Option<Staleness>,
}

impl SharedResults {
    pub const fn is_empty(&self) -> bool {
        self.results.is_none() && self.staleness.is_none()
    }

    /// The fragment without its `#`.
    pub fn to_fragment(&self) -> String {
        let bytes = Encoding::Postcard.encode(self).unwrap_or_default();
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// Returns `None` if the fragment has no results or implausible ones.
    pub fn from_fragment(fragment: &str) -> Option<Self> {
        let encoded = fragment.trim_start_matches('#').strip_prefix(PREFIX)?;
        if encoded.len() > MAX_FRAGMENT {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?;
        let shared: Self = Encoding::Postcard.decode(&bytes).ok()?;
        (shared.is_plausible() && !shared.is_empty()).then_some(shared)
    }

    fn is_plausible(&self) -> bool {
        let results = self.results.as_ref().is_none_or(|results| {
            let transports = results.transports.iter().map(|result| result.transport);
            let bytes =
                |result: &super::model::TransportResult| result.bytes.up < MAX_BYTES && result.bytes.down < MAX_BYTES;
            results.settings.clamped() == results.settings
                && transports.eq(Transport::ALL)
                && results
                    .transports
                    .iter()
                    .all(|result| is_consistent(&result.latency) && bytes(result))
        });
        let staleness = self.staleness.as_ref().is_none_or(|staleness| {
            let watchers = staleness.results.iter().map(|result| result.watcher);
            watchers.eq(Watcher::ALL)
                && staleness.results.iter().all(|result| {
                    is_consistent(&result.delay) && result.bytes.up < MAX_BYTES && result.bytes.down < MAX_BYTES
                })
        });
        results && staleness
    }
}

/// Byte counts below this limit cannot overflow when summed.
const MAX_BYTES: u64 = 1 << 48;

fn is_consistent(summary: &Summary) -> bool {
    summary.histogram.len() <= BINS
        && summary.histogram.iter().map(|count| u64::from(*count)).sum::<u64>() == u64::from(summary.count)
}

#[cfg(test)]
mod tests {
    use super::super::model::{Bytes, Documents, Settings, TransportResult, WatcherResult};
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn bytes()(up in 0u64..MAX_BYTES, down in 0u64..MAX_BYTES) -> Bytes { Bytes { up, down } }
    }
    prop_compose! {
        fn results()(
            times in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..60), 8),
            bytes in prop::collection::vec((bytes(), bytes()), 8),
            payload in 16u32..16_384, count in 10u32..250, at: u64, stopped: bool, documents: Option<u32>,
        ) -> Results {
            let result = |index: usize| TransportResult {
                transport: Transport::ALL[index],
                latency: Summary::from_times(&times[index]),
                failed: index as u32,
                elapsed_us: u64::from(count),
                bytes: bytes[index].0,
                setup: bytes[index].1,
                opened: count,
                cpu_us: at,
                bytes_unknown: stopped,
            };
            Results {
                settings: Settings { payload, count, rate: 0, in_flight: 1 },
                at,
                transports: (0..8).map(result).collect(),
                documents: documents.map(|document_bytes| Documents { document_bytes, ..Documents::default() }),
                stopped,
            }
        }
    }
    prop_compose! {
        fn staleness()(times in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..30), 4), at: u64) -> Staleness {
            let result = |index: usize| WatcherResult {
                watcher: Watcher::ALL[index],
                delay: Summary::from_times(&times[index]),
                missed: 1,
                requests: 2,
                bytes: Bytes { up: 3, down: 4 },
            };
            Staleness { at, seconds: 45, changes: 9, results: (0..4).map(result).collect() }
        }
    }

    proptest! {
        #[test]
        fn results_round_trip_through_a_link(results in prop::option::of(results()), staleness in prop::option::of(staleness())) {
            let shared = SharedResults { results, staleness };
            let fragment = shared.to_fragment();
            prop_assert!(fragment.len() < MAX_FRAGMENT);
            let expected = (!shared.is_empty()).then_some(shared);
            prop_assert_eq!(SharedResults::from_fragment(&format!("#{fragment}")), expected);
        }

        #[test]
        fn any_fragment_is_decoded_without_panic(fragment in "[-_A-Za-z0-9=]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SharedResults::from_fragment(&fragment);
            let _ = SharedResults::from_fragment(&format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)));
        }

        #[test]
        fn implausible_results_are_rejected(results in results(), which in 0u8..3) {
            let mut results = results;
            match which {
                0 => results.settings.payload = 1,
                1 => results.transports.truncate(7),
                _ => results.transports[0].latency.count += 1,
            }
            let shared = SharedResults { results: Some(results), staleness: None };
            prop_assert_eq!(SharedResults::from_fragment(&shared.to_fragment()), None);
        }
    }
}
