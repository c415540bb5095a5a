//! Handshake records by trace id, which the page chose: of every open connection that has one, and of the most recently closed
//! ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;
use duplex_protocol::handshake::{ConnectionEnd, Handshake};

#[derive(Debug)]
pub(crate) struct HandshakeRecords {
    records: Mutex<Records>,
    /// Maximum records of ended connections; those of open connections are bounded by the connection limit.
    limit: usize,
}

#[derive(Debug, Default)]
struct Records {
    by_trace: HashMap<String, Handshake>,
    /// Trace id and connection, oldest first. By now the trace id may belong to a newer connection.
    ended: VecDeque<(String, String)>,
}

impl HandshakeRecords {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            records: Mutex::default(),
            limit,
        }
    }

    /// Stores the record of a new connection. It replaces an older one of the same trace id.
    pub(crate) fn open(&self, trace: &str, record: Handshake) {
        self.records().by_trace.insert(trace.to_owned(), record);
    }

    pub(crate) fn end(&self, trace: &str, connection: &str, ended: ConnectionEnd) {
        let records = &mut *self.records();
        let Some(record) = records
            .by_trace
            .get_mut(trace)
            .filter(|record| record.connection == connection)
        else {
            return;
        };
        record.ended = Some(ended);
        records.ended.push_back((trace.to_owned(), connection.to_owned()));
        while records.ended.len() > self.limit {
            records.remove_oldest();
        }
    }

    pub(crate) fn get(&self, trace: &str) -> Option<Handshake> {
        self.records().by_trace.get(trace).cloned()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.records)
    }
}

impl Records {
    fn remove_oldest(&mut self) {
        let Some((trace, connection)) = self.ended.pop_front() else {
            return;
        };
        if self
            .by_trace
            .get(&trace)
            .is_some_and(|record| record.connection == connection)
        {
            self.by_trace.remove(&trace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::code::ClosedBy;
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

    fn ended() -> ConnectionEnd {
        ConnectionEnd {
            by: ClosedBy::Client,
            code: Some(1000),
            reason: String::new(),
            at: 1,
        }
    }

    #[test]
    fn the_record_of_an_ended_connection_is_kept_up_to_the_limit() {
        let handshakes = HandshakeRecords::new(1);
        handshakes.open("a", record("1"));
        handshakes.end("a", "1", ended());
        assert_eq!(handshakes.get("a").and_then(|found| found.ended), Some(ended()));
        handshakes.open("b", record("2"));
        assert!(handshakes.get("a").is_some(), "an open connection evicts no record");
        handshakes.end("b", "2", ended());
        assert!(handshakes.get("a").is_none());
        assert!(handshakes.get("b").is_some());
    }

    #[test]
    fn the_end_of_an_older_connection_does_not_change_a_newer_record_of_the_same_trace() {
        let handshakes = HandshakeRecords::new(8);
        handshakes.open("a", record("1"));
        handshakes.open("a", record("2"));
        handshakes.end("a", "1", ended());
        assert_eq!(handshakes.get("a"), Some(record("2")));
    }

    proptest! {
        #[test]
        fn the_records_are_bounded(limit in 0usize..6, steps in prop::collection::vec((0u8..5, any::<bool>()), 0..80)) {
            let handshakes = HandshakeRecords::new(limit);
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
                let records = handshakes.records();
                let open_names: HashSet<_> = open.iter().map(|(trace, _)| trace).collect();
                prop_assert!(records.ended.len() <= limit);
                prop_assert!(records.by_trace.len() <= open_names.len() + limit);
            }
        }
    }
}
