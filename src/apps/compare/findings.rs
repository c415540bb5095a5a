//! What results show, chosen from their numbers: which way is to be praised, which not, and where a WebSocket is the wrong choice.
//! Pure; knows no words.

use super::model::{Documents, ROUNDS, Results, Staleness, WARM_UP, Watcher, Way, WayResult};
use duplex_protocol::frame::wire_len;

/// Seconds between two pings to a WebSocket peer, as the server has it if its operator chose nothing else.
pub const PING_SECONDS: u64 = 25;

/// Two measurements nearer than this to each other are alike.
const ALIKE: f64 = 1.15;

/// How one way stands among the others; a factor says how many times as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// No message was answered.
    Nothing,
    /// The quickest and the lightest.
    Best,
    /// The quickest, but not the lightest.
    Quickest {
        heavier: f64,
    },
    /// The lightest, but not the quickest.
    Lightest {
        slower: f64,
    },
    /// Within a little of the best in both.
    Near,
    /// Further behind in time than in bytes.
    Slower {
        slower: f64,
    },
    Heavier {
        heavier: f64,
    },
}

pub fn verdict(result: &WayResult, results: &Results) -> Verdict {
    let (Some(quickest), Some(lightest)) = (quickest(results), lightest(results)) else {
        return Verdict::Nothing;
    };
    if result.latency.count == 0 {
        return Verdict::Nothing;
    }
    let slower = times(f64::from(result.latency.p50), f64::from(quickest.latency.p50));
    let heavier = if result.uncounted {
        1.0
    } else {
        times(result.bytes_each(), lightest.bytes_each())
    };
    match (result.way == quickest.way, result.way == lightest.way) {
        (true, true) => Verdict::Best,
        (true, false) => Verdict::Quickest { heavier },
        (false, true) => Verdict::Lightest { slower },
        (false, false) if slower < ALIKE && heavier < ALIKE => Verdict::Near,
        (false, false) if slower >= heavier => Verdict::Slower { slower },
        (false, false) => Verdict::Heavier { heavier },
    }
}

fn measured(results: &Results) -> impl Iterator<Item = &WayResult> {
    results.ways.iter().filter(|result| result.latency.count > 0)
}

pub fn quickest(results: &Results) -> Option<&WayResult> {
    measured(results).min_by_key(|result| result.latency.p50)
}

pub fn lightest(results: &Results) -> Option<&WayResult> {
    let counted = measured(results).filter(|result| !result.uncounted);
    counted.min_by(|a, b| a.bytes_each().total_cmp(&b.bytes_each()))
}

/// How many times as much `a` is as `b`.
pub fn times(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 1.0 }
}

/// Which of two is better off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Http,
    Socket,
    Alike,
}

fn better(http: f64, socket: f64) -> Better {
    if http * ALIKE <= socket {
        Better::Http
    } else if socket * ALIKE <= http {
        Better::Socket
    } else {
        Better::Alike
    }
}

/// One thing beyond the ways themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding {
    /// Headers beside messages: bytes of a request and its answer, and of a message and its echo.
    Headers {
        fetch: f64,
        socket: f64,
        overhead: f64,
    },
    /// A connection for each request, in median times.
    Connections {
        fetch_us: u32,
        fresh_us: u32,
        opened: u32,
    },
    /// What it takes to have kept a command before it is answered.
    Kept {
        socket_us: u32,
        topic_us: u32,
    },
    /// One message an hour: bytes of one request with its connection; of opening a socket and keeping it for an hour. And from
    /// how many messages in an hour on the socket takes fewer bytes.
    Seldom {
        request: f64,
        hour: f64,
        from: u32,
        better: Better,
    },
    Cached {
        documents: Documents,
        better: Better,
    },
    Download {
        documents: Documents,
        better: Better,
    },
}

pub fn findings(results: &Results) -> Vec<Finding> {
    let mut found = Vec::new();
    let way = |way| results.way(way);
    let (socket, fetch, fresh) = (way(Way::Socket), way(Way::Fetch), way(Way::Fresh));
    let counted = |result: &&WayResult| !result.uncounted;
    if let (Some(socket), Some(fetch)) = (socket.filter(counted), fetch.filter(counted)) {
        found.push(Finding::Headers {
            fetch: fetch.bytes_each(),
            socket: socket.bytes_each(),
            overhead: fetch.overhead(results.settings.payload),
        });
    }
    if let (Some(fetch), Some(fresh)) = (fetch, fresh) {
        found.push(Finding::Connections {
            fetch_us: fetch.latency.p50,
            fresh_us: fresh.latency.p50,
            opened: fresh.opened,
        });
    }
    if let (Some(socket), Some(topic)) = (socket, way(Way::Topic)) {
        found.push(Finding::Kept {
            socket_us: socket.latency.p50,
            topic_us: topic.latency.p50,
        });
    }
    if let (Some(socket), Some(fresh)) = (socket.filter(counted), fresh.filter(counted)) {
        found.push(seldom(socket, fresh));
    }
    if let Some(documents) = results.documents {
        let (cached, asked) = (documents.cached.both() as f64, documents.asked.both() as f64);
        found.push(Finding::Cached {
            documents,
            better: better(cached, asked),
        });
        found.push(Finding::Download {
            documents,
            better: better(documents.download_us as f64, documents.pieces_us as f64),
        });
    }
    found
}

/// Measured: the request, the message, the opening. Reckoned: the pings of an hour, an empty ping and its empty answer each.
fn seldom(socket: &WayResult, fresh: &WayResult) -> Finding {
    let pings = (3600 / PING_SECONDS * (wire_len(0, false) + wire_len(0, true))) as f64;
    let warm_up = socket.bytes_each() * f64::from(WARM_UP);
    let opening = (socket.setup.both() as f64 / f64::from(ROUNDS) - warm_up).max(0.0);
    let (request, message) = (fresh.bytes_each(), socket.bytes_each());
    let hour = opening + pings + message;
    let saved = request - message;
    let from = if saved > 0.0 {
        ((opening + pings) / saved).ceil() as u32
    } else {
        u32::MAX
    };
    Finding::Seldom {
        request,
        hour,
        from,
        better: better(request, hour),
    }
}

/// What a run over a changing value shows, for one who polled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Polling {
    pub seconds: u32,
    /// Half of the changes that were seen at all were seen so late, in microseconds.
    pub late: u32,
    pub pushed: u32,
    pub missed: u32,
    pub bytes: u64,
    pub pushed_bytes: u64,
    pub requests: u32,
    /// By bytes.
    pub better: Better,
}

/// None where nothing was seen to compare.
pub fn polling(staleness: &Staleness, seconds: u32) -> Option<Polling> {
    let of = |watcher| {
        let mut watched = staleness.watched.iter();
        watched.find(|watched| watched.watcher == watcher && watched.late.count > 0)
    };
    let (push, poll) = (of(Watcher::Push)?, of(Watcher::Poll(seconds))?);
    Some(Polling {
        seconds,
        late: poll.late.p50,
        pushed: push.late.p50,
        missed: poll.missed,
        bytes: poll.bytes.both(),
        pushed_bytes: push.bytes.both(),
        requests: poll.requests,
        better: better(poll.bytes.both() as f64, push.bytes.both() as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::super::model::{Bytes, Settings, Summary, Watched};
    use super::*;

    fn result(way: Way, us: u32, bytes: u64) -> WayResult {
        WayResult {
            way,
            latency: Summary::of(&[us; 10]),
            failed: 0,
            elapsed_us: 10_000,
            bytes: Bytes {
                up: bytes * 5,
                down: bytes * 5,
            },
            setup: Bytes { up: 1000, down: 1000 },
            opened: 1,
            cpu_us: 100,
            uncounted: false,
        }
    }

    fn results(ways: Vec<WayResult>) -> Results {
        Results {
            settings: Settings::CHAT,
            at: 0,
            ways,
            documents: None,
            stopped: false,
        }
    }

    fn verdicts(results: &Results) -> Vec<Verdict> {
        results.ways.iter().map(|result| verdict(result, results)).collect()
    }

    #[test]
    fn each_way_is_judged_beside_the_best() {
        let all = results(vec![
            result(Way::Socket, 500, 260),
            result(Way::Topic, 1000, 286),
            result(Way::Fetch, 800, 1300),
            result(Way::Fresh, 525, 270),
        ]);
        assert_eq!(
            verdicts(&all),
            [
                Verdict::Best,
                Verdict::Slower { slower: 2.0 },
                Verdict::Heavier { heavier: 5.0 },
                Verdict::Near
            ]
        );
        let split = results(vec![result(Way::Socket, 900, 200), result(Way::Fetch, 300, 800)]);
        assert_eq!(
            verdicts(&split),
            [Verdict::Lightest { slower: 3.0 }, Verdict::Quickest { heavier: 4.0 }]
        );
    }

    #[test]
    fn what_was_not_answered_or_not_counted_is_not_judged_by_it() {
        let mut all = results(vec![result(Way::Socket, 500, 260), result(Way::Fetch, 800, 1)]);
        all.ways[1].uncounted = true;
        assert_eq!(verdicts(&all)[0], Verdict::Best);
        all.ways[0].latency = Summary::default();
        assert_eq!(verdicts(&all)[0], Verdict::Nothing);
        assert_eq!(findings(&results(Vec::new())), []);
    }

    #[test]
    fn one_message_an_hour_is_cheaper_by_request() {
        let all = results(vec![result(Way::Socket, 500, 260), result(Way::Fresh, 900, 1260)]);
        let found = findings(&all);
        // 2,000 of set-up in two rounds, without five messages each; 144 pings of 8 bytes.
        let expected = Finding::Seldom {
            request: 1260.0,
            hour: 1152.0 + 260.0,
            from: 2,
            better: Better::Alike,
        };
        assert!(found.contains(&expected), "{found:?}");
        let light = results(vec![result(Way::Socket, 500, 260), result(Way::Fresh, 900, 600)]);
        let found = findings(&light);
        let wrong = |finding: &Finding| {
            matches!(
                finding,
                Finding::Seldom {
                    better: Better::Http,
                    from: 4,
                    ..
                }
            )
        };
        assert!(found.iter().any(wrong), "{found:?}");
    }

    #[test]
    fn documents_are_judged_by_what_was_counted() {
        let mut all = results(vec![result(Way::Socket, 500, 260)]);
        let bytes = |down| Bytes { up: 1000, down };
        all.documents = Some(Documents {
            size: 32_768,
            loads: 10,
            cached: bytes(35_000),
            asked: bytes(330_000),
            large: 2 << 20,
            download_us: 50_000,
            download: bytes(2 << 20),
            pieces_us: 52_000,
            pieces: bytes(2 << 20),
        });
        let judged: Vec<_> = findings(&all)
            .into_iter()
            .filter_map(|finding| match finding {
                Finding::Cached { better, .. } | Finding::Download { better, .. } => Some(better),
                _ => None,
            })
            .collect();
        assert_eq!(judged, [Better::Http, Better::Alike]);
    }

    #[test]
    fn polling_is_judged_beside_pushing() {
        let watched = |watcher, late: u32, bytes| Watched {
            watcher,
            late: Summary::of(&[late; 4]),
            missed: 1,
            requests: 9,
            bytes: Bytes { up: bytes, down: bytes },
        };
        let staleness = Staleness {
            at: 0,
            seconds: 45,
            changes: 5,
            watched: vec![
                watched(Watcher::Push, 2000, 600),
                watched(Watcher::Poll(5), 2_500_000, 3000),
            ],
        };
        let found = polling(&staleness, 5).unwrap();
        assert_eq!(
            (found.late, found.pushed, found.better),
            (2_500_000, 2000, Better::Socket)
        );
        assert_eq!(polling(&staleness, 15), None);
    }
}
