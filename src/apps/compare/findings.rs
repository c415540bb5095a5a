//! Findings derived from results: a rating of each transport, and the cases in which a WebSocket is the wrong choice. Pure; the
//! texts are in view/findings.rs.

use super::model::{Documents, ROUNDS, Results, Staleness, Transport, TransportResult, WARM_UP, Watcher};
use duplex_protocol::frame::wire_len;

/// The server's default ping interval, in seconds.
pub const PING_SECONDS: u64 = 25;

/// Two measurements within this factor count as similar.
const SIMILAR_FACTOR: f64 = 1.15;

/// How a transport compares with the best one, with the factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rating {
    /// No message was answered.
    Unanswered,
    /// Lowest median latency and fewest bytes per message.
    Best,
    /// Lowest median latency, but not the fewest bytes.
    Fastest { heavier: f64 },
    /// Fewest bytes per message, but not the lowest median latency.
    Lightest { slower: f64 },
    /// Similar to the best in time and bytes.
    Near,
    /// The latency factor is larger than the byte factor.
    Slower { slower: f64 },
    /// The byte factor is larger than the latency factor, or equal.
    Heavier { heavier: f64 },
}

pub fn rate(result: &TransportResult, results: &Results) -> Rating {
    let (Some(fastest), Some(lightest)) = (fastest(results), lightest(results)) else {
        return Rating::Unanswered;
    };
    if result.latency.count == 0 {
        return Rating::Unanswered;
    }
    let slower = ratio(f64::from(result.latency.p50), f64::from(fastest.latency.p50));
    let heavier = if result.bytes_unknown {
        1.0
    } else {
        ratio(result.bytes_per_message(), lightest.bytes_per_message())
    };
    match (
        result.transport == fastest.transport,
        result.transport == lightest.transport,
    ) {
        (true, true) => Rating::Best,
        (true, false) => Rating::Fastest { heavier },
        (false, true) => Rating::Lightest { slower },
        (false, false) if slower < SIMILAR_FACTOR && heavier < SIMILAR_FACTOR => Rating::Near,
        (false, false) if slower >= heavier => Rating::Slower { slower },
        (false, false) => Rating::Heavier { heavier },
    }
}

fn answered_results(results: &Results) -> impl Iterator<Item = &TransportResult> {
    results.transports.iter().filter(|result| result.latency.count > 0)
}

pub fn fastest(results: &Results) -> Option<&TransportResult> {
    answered_results(results).min_by_key(|result| result.latency.p50)
}

pub fn lightest(results: &Results) -> Option<&TransportResult> {
    let counted = answered_results(results).filter(|result| !result.bytes_unknown);
    counted.min_by(|a, b| a.bytes_per_message().total_cmp(&b.bytes_per_message()))
}

/// `a / b`, or 1 if `b` is zero.
pub fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 1.0 }
}

/// The cheaper of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cheaper {
    Http,
    WebSocket,
    Similar,
}

fn cheaper(http: f64, socket: f64) -> Cheaper {
    if http * SIMILAR_FACTOR <= socket {
        Cheaper::Http
    } else if socket * SIMILAR_FACTOR <= http {
        Cheaper::WebSocket
    } else {
        Cheaper::Similar
    }
}

/// A finding across transports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding {
    /// Header overhead: bytes of a request with its response, and of a message with its echo.
    Headers {
        fetch: f64,
        socket: f64,
        overhead: f64,
    },
    /// The cost of a connection for each request, in median times.
    Connections {
        fetch_us: u32,
        new_connection_us: u32,
        opened: u32,
    },
    /// The cost of storing a command before it is answered.
    Persistence {
        socket_us: u32,
        topic_us: u32,
    },
    /// One message an hour: a request on a new connection, compared with a WebSocket that stays open.
    RareMessages {
        request_bytes: f64,
        /// Bytes of opening a WebSocket, and of its pings and one message in an hour.
        socket_hour_bytes: f64,
        /// Messages an hour from which the WebSocket needs fewer bytes.
        break_even_per_hour: u32,
        cheaper: Cheaper,
    },
    Cached {
        documents: Documents,
        cheaper: Cheaper,
    },
    Download {
        documents: Documents,
        cheaper: Cheaper,
    },
}

pub fn findings(results: &Results) -> Vec<Finding> {
    let mut found = Vec::new();
    let transport = |transport| results.transport(transport);
    let (socket, fetch, fresh) = (
        transport(Transport::Socket),
        transport(Transport::Fetch),
        transport(Transport::NewConnection),
    );
    let counted = |result: &&TransportResult| !result.bytes_unknown;
    if let (Some(socket), Some(fetch)) = (socket.filter(counted), fetch.filter(counted)) {
        found.push(Finding::Headers {
            fetch: fetch.bytes_per_message(),
            socket: socket.bytes_per_message(),
            overhead: fetch.overhead(results.settings.payload),
        });
    }
    if let (Some(fetch), Some(fresh)) = (fetch, fresh) {
        found.push(Finding::Connections {
            fetch_us: fetch.latency.p50,
            new_connection_us: fresh.latency.p50,
            opened: fresh.opened,
        });
    }
    if let (Some(socket), Some(topic)) = (socket, transport(Transport::Topic)) {
        found.push(Finding::Persistence {
            socket_us: socket.latency.p50,
            topic_us: topic.latency.p50,
        });
    }
    if let (Some(socket), Some(fresh)) = (socket.filter(counted), fresh.filter(counted)) {
        found.push(rare_messages(socket, fresh));
    }
    if let Some(documents) = results.documents {
        let (cached, requested) = (documents.cached.total() as f64, documents.requested.total() as f64);
        found.push(Finding::Cached {
            documents,
            cheaper: cheaper(cached, requested),
        });
        found.push(Finding::Download {
            documents,
            cheaper: cheaper(documents.download_us as f64, documents.chunks_us as f64),
        });
    }
    found
}

/// The bytes of a request, a message and a handshake are measured. The bytes of an hour's pings are calculated: one empty ping and
/// pong per interval.
fn rare_messages(socket: &TransportResult, fresh: &TransportResult) -> Finding {
    let pings = (3600 / PING_SECONDS * (wire_len(0, false) + wire_len(0, true))) as f64;
    let warm_up = socket.bytes_per_message() * f64::from(WARM_UP);
    let opening = (socket.setup.total() as f64 / f64::from(ROUNDS) - warm_up).max(0.0);
    let (request_bytes, message) = (fresh.bytes_per_message(), socket.bytes_per_message());
    let socket_hour_bytes = opening + pings + message;
    let saved = request_bytes - message;
    let break_even_per_hour = if saved > 0.0 {
        ((opening + pings) / saved).ceil() as u32
    } else {
        u32::MAX
    };
    Finding::RareMessages {
        request_bytes,
        socket_hour_bytes,
        break_even_per_hour,
        cheaper: cheaper(request_bytes, socket_hour_bytes),
    }
}

/// The result of a staleness run for one poll interval, compared with push.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PollComparison {
    pub seconds: u32,
    /// Median delays of the observed changes, in microseconds.
    pub poll_delay_us: u32,
    pub push_delay_us: u32,
    pub missed: u32,
    pub bytes: u64,
    pub push_bytes: u64,
    pub requests: u32,
    /// The cheaper one by bytes.
    pub cheaper: Cheaper,
}

/// Returns `None` if the poller or the push client observed no change.
pub fn polling(staleness: &Staleness, seconds: u32) -> Option<PollComparison> {
    let result_of = |watcher| {
        let mut results = staleness.results.iter();
        results.find(|result| result.watcher == watcher && result.delay.count > 0)
    };
    let (push, poll) = (result_of(Watcher::Push)?, result_of(Watcher::Poll(seconds))?);
    Some(PollComparison {
        seconds,
        poll_delay_us: poll.delay.p50,
        push_delay_us: push.delay.p50,
        missed: poll.missed,
        bytes: poll.bytes.total(),
        push_bytes: push.bytes.total(),
        requests: poll.requests,
        cheaper: cheaper(poll.bytes.total() as f64, push.bytes.total() as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::super::model::{Bytes, Settings, Summary, WatcherResult};
    use super::*;

    fn result(transport: Transport, us: u32, bytes: u64) -> TransportResult {
        TransportResult {
            transport,
            latency: Summary::from_times(&[us; 10]),
            failed: 0,
            elapsed_us: 10_000,
            bytes: Bytes {
                up: bytes * 5,
                down: bytes * 5,
            },
            setup: Bytes { up: 1000, down: 1000 },
            opened: 1,
            cpu_us: 100,
            bytes_unknown: false,
        }
    }

    fn results(transports: Vec<TransportResult>) -> Results {
        Results {
            settings: Settings::CHAT,
            at: 0,
            transports,
            documents: None,
            stopped: false,
        }
    }

    fn ratings(results: &Results) -> Vec<Rating> {
        results.transports.iter().map(|result| rate(result, results)).collect()
    }

    #[test]
    fn each_transport_is_rated_against_the_best() {
        let all = results(vec![
            result(Transport::Socket, 500, 260),
            result(Transport::Topic, 1000, 286),
            result(Transport::Fetch, 800, 1300),
            result(Transport::NewConnection, 525, 270),
        ]);
        assert_eq!(
            ratings(&all),
            [
                Rating::Best,
                Rating::Slower { slower: 2.0 },
                Rating::Heavier { heavier: 5.0 },
                Rating::Near
            ]
        );
        let split = results(vec![
            result(Transport::Socket, 900, 200),
            result(Transport::Fetch, 300, 800),
        ]);
        assert_eq!(
            ratings(&split),
            [Rating::Lightest { slower: 3.0 }, Rating::Fastest { heavier: 4.0 }]
        );
    }

    #[test]
    fn unanswered_and_uncounted_results_are_excluded() {
        let mut all = results(vec![
            result(Transport::Socket, 500, 260),
            result(Transport::Fetch, 800, 1),
        ]);
        all.transports[1].bytes_unknown = true;
        assert_eq!(ratings(&all)[0], Rating::Best);
        all.transports[0].latency = Summary::default();
        assert_eq!(ratings(&all)[0], Rating::Unanswered);
        assert_eq!(findings(&results(Vec::new())), []);
    }

    #[test]
    fn one_message_an_hour_is_compared_with_a_request() {
        let all = results(vec![
            result(Transport::Socket, 500, 260),
            result(Transport::NewConnection, 900, 1260),
        ]);
        let found = findings(&all);
        // 2,000 bytes of setup in two rounds, minus five messages each; 144 pings of 8 bytes.
        let expected = Finding::RareMessages {
            request_bytes: 1260.0,
            socket_hour_bytes: 1152.0 + 260.0,
            break_even_per_hour: 2,
            cheaper: Cheaper::Similar,
        };
        assert!(found.contains(&expected), "{found:?}");
        let light = results(vec![
            result(Transport::Socket, 500, 260),
            result(Transport::NewConnection, 900, 600),
        ]);
        let found = findings(&light);
        let request_is_cheaper = |finding: &Finding| {
            matches!(
                finding,
                Finding::RareMessages {
                    cheaper: Cheaper::Http,
                    break_even_per_hour: 4,
                    ..
                }
            )
        };
        assert!(found.iter().any(request_is_cheaper), "{found:?}");
    }

    #[test]
    fn documents_are_compared_by_counted_bytes_and_times() {
        let mut all = results(vec![result(Transport::Socket, 500, 260)]);
        let bytes = |down| Bytes { up: 1000, down };
        all.documents = Some(Documents {
            document_bytes: 32_768,
            loads: 10,
            cached: bytes(35_000),
            requested: bytes(330_000),
            large_document_bytes: 2 << 20,
            download_us: 50_000,
            download: bytes(2 << 20),
            chunks_us: 52_000,
            chunks: bytes(2 << 20),
        });
        let cheaper: Vec<_> = findings(&all)
            .into_iter()
            .filter_map(|finding| match finding {
                Finding::Cached { cheaper, .. } | Finding::Download { cheaper, .. } => Some(cheaper),
                _ => None,
            })
            .collect();
        assert_eq!(cheaper, [Cheaper::Http, Cheaper::Similar]);
    }

    #[test]
    fn polling_is_compared_with_pushing() {
        let result = |watcher, delay: u32, bytes| WatcherResult {
            watcher,
            delay: Summary::from_times(&[delay; 4]),
            missed: 1,
            requests: 9,
            bytes: Bytes { up: bytes, down: bytes },
        };
        let staleness = Staleness {
            at: 0,
            seconds: 45,
            changes: 5,
            results: vec![
                result(Watcher::Push, 2000, 600),
                result(Watcher::Poll(5), 2_500_000, 3000),
            ],
        };
        let found = polling(&staleness, 5).unwrap();
        assert_eq!(
            (found.poll_delay_us, found.push_delay_us, found.cheaper),
            (2_500_000, 2000, Cheaper::WebSocket)
        );
        assert_eq!(polling(&staleness, 15), None);
    }
}
