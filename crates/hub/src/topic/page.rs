//! Truncates a page of records to a byte limit. Pure.

use std::collections::BTreeMap;

use crate::log::Record;
use duplex_protocol::cursor::Seq;

/// The newest events within `max_bytes`, with their amendments; at least one. Also returns whether older ones were omitted.
pub(crate) fn take_newest_within(mut records: Vec<Record>, max_bytes: usize) -> (Vec<Record>, bool) {
    let mut sizes: BTreeMap<Seq, usize> = BTreeMap::new();
    for record in &records {
        *sizes.entry(root_seq(record)).or_default() += record.event.len();
    }
    let mut sum = 0;
    let fitting = sizes.iter().rev().take_while(|(_, size)| {
        let is_first = sum == 0;
        sum += **size;
        is_first || sum <= max_bytes
    });
    let oldest = fitting.last().map_or(0, |(seq, _)| *seq);
    let all = records.len();
    records.retain(|record| root_seq(record) >= oldest);
    let omitted = records.len() < all;
    (records, omitted)
}

fn root_seq(record: &Record) -> Seq {
    record.amends.unwrap_or(record.seq)
}

/// The first events within `max_bytes`; at least one.
pub(crate) fn take_oldest_within(mut records: Vec<Record>, max_bytes: usize) -> Vec<Record> {
    let mut sum = 0;
    let fitting = records.iter().take_while(|record| {
        sum += record.event.len();
        sum <= max_bytes
    });
    let count = fitting.count().max(1);
    records.truncate(count);
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: Seq, amends: Option<Seq>, bytes: usize) -> Record {
        Record {
            seq,
            at: 0,
            amends,
            checksum: None,
            event: vec![b'1'; bytes],
        }
    }

    fn seqs(records: &[Record]) -> Vec<Seq> {
        records.iter().map(|record| record.seq).collect()
    }

    #[test]
    fn the_newest_stay_with_their_amendments() {
        let records = || {
            vec![
                record(1, None, 10),
                record(2, None, 10),
                record(3, None, 10),
                record(4, Some(2), 10),
            ]
        };
        assert!(!take_newest_within(records(), 40).1);
        let (some, left_out) = take_newest_within(records(), 39);
        assert_eq!((seqs(&some), left_out), (vec![2, 3, 4], true));
        let (some, left_out) = take_newest_within(records(), 29);
        assert_eq!((seqs(&some), left_out), (vec![3], true));
        let (some, _) = take_newest_within(records(), 1);
        assert_eq!(seqs(&some), [3], "one event is returned regardless of its size");
        assert!(!take_newest_within(Vec::new(), 1).1);
    }

    #[test]
    fn the_first_stay_in_order() {
        let records = || vec![record(1, None, 10), record(2, None, 10), record(3, Some(1), 10)];
        assert_eq!(seqs(&take_oldest_within(records(), 20)), [1, 2]);
        assert_eq!(seqs(&take_oldest_within(records(), 5)), [1]);
        assert_eq!(seqs(&take_oldest_within(Vec::new(), 5)), [] as [Seq; 0]);
    }
}
