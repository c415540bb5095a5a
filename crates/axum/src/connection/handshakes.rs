//! Records of handshakes, by the name that the page chose for its connection: those of all open connections that have a name, and of
//! the last ones that ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;
use duplex_protocol::handshake::{Ended, Handshake};

#[derive(Debug)]
pub(crate) struct Handshakes {
    kept: Mutex<Kept>,
    /// Records of ended connections; those of open ones are bounded by the connections.
    limit: usize,
}

#[derive(Debug, Default)]
struct Kept {
    records: HashMap<String, Handshake>,
    /// Trace and connection, oldest first. The trace may name a newer connection by now.
    ended: VecDeque<(String, String)>,
}

impl Handshakes {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            kept: Mutex::default(),
            limit,
        }
    }

    /// Keeps the record of a connection that opened. It replaces an older one of the same trace.
    pub(crate) fn open(&self, trace: &str, record: Handshake) {
        self.kept().records.insert(trace.to_owned(), record);
    }

    pub(crate) fn end(&self, trace: &str, connection: &str, ended: Ended) {
        let kept = &mut *self.kept();
        let Some(record) = kept
            .records
            .get_mut(trace)
            .filter(|record| record.connection == connection)
        else {
            return;
        };
        record.ended = Some(ended);
        kept.ended.push_back((trace.to_owned(), connection.to_owned()));
        while kept.ended.len() > self.limit {
            kept.forget_oldest();
        }
    }

    pub(crate) fn get(&self, trace: &str) -> Option<Handshake> {
        self.kept().records.get(trace).cloned()
    }

    /// The records, locked.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Kept {
    fn forget_oldest(&mut self) {
        let Some((trace, connection)) = self.ended.pop_front() else {
            return;
        };
        if self
            .records
            .get(&trace)
            .is_some_and(|record| record.connection == connection)
        {
            self.records.remove(&trace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::code::Side;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn record(connection: &str) -> Handshake {
        Handshake {
            connection: connection.to_owned(),
            opened_at: 0,
            peer: None,
            method: "GET".to_owned(),
            target: "/".to_owned(),
            version: "HTTP/1.1".to_owned(),
            request: Vec::new(),
            status: 101,
            response: Vec::new(),
            subprotocol: None,
            ended: None,
        }
    }

    fn ended() -> Ended {
        Ended {
            by: Side::Client,
            code: Some(1000),
            reason: String::new(),
            at: 1,
        }
    }

    #[test]
    fn an_ended_connection_is_kept_until_younger_ones_push_it_out() {
        let handshakes = Handshakes::new(1);
        handshakes.open("a", record("1"));
        handshakes.end("a", "1", ended());
        assert_eq!(handshakes.get("a").and_then(|found| found.ended), Some(ended()));
        handshakes.open("b", record("2"));
        assert!(handshakes.get("a").is_some(), "an open connection pushes nothing out");
        handshakes.end("b", "2", ended());
        assert!(handshakes.get("a").is_none());
        assert!(handshakes.get("b").is_some());
    }

    #[test]
    fn the_end_of_an_older_connection_does_not_touch_a_younger_one_of_the_same_name() {
        let handshakes = Handshakes::new(8);
        handshakes.open("a", record("1"));
        handshakes.open("a", record("2"));
        handshakes.end("a", "1", ended());
        assert_eq!(handshakes.get("a"), Some(record("2")));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded(limit in 0usize..6, steps in prop::collection::vec((0u8..5, any::<bool>()), 0..80)) {
            let handshakes = Handshakes::new(limit);
            let mut open: Vec<(String, String)> = Vec::new();
            for (number, (name, opens)) in steps.into_iter().enumerate() {
                let trace = format!("t{name}");
                if opens {
                    handshakes.open(&trace, record(&number.to_string()));
                    open.push((trace, number.to_string()));
                } else if let Some(at) = open.iter().position(|(named, _)| *named == trace) {
                    let (trace, connection) = open.remove(at);
                    handshakes.end(&trace, &connection, ended());
                }
                let kept = handshakes.kept();
                let open_names: HashSet<_> = open.iter().map(|(trace, _)| trace).collect();
                prop_assert!(kept.ended.len() <= limit);
                prop_assert!(kept.records.len() <= open_names.len() + limit);
            }
        }
    }
}
