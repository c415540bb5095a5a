//! The check chain of a log: the check up to an event is a hash of the event and of the check before it. It is computed when the
//! event is appended, so an event that is redacted later keeps its check.

use sha2::{Digest as _, Sha256};

use duplex_protocol::cursor::{Check, Seq};

/// The check up to and including the event `seq`; `previous` is the previous event's check, `None` for the first event. The result
/// must be the same for the same events in every log, on every machine and in every version, because files store it.
pub fn next_check(previous: Option<Check>, seq: Seq, event: &[u8]) -> Option<Check> {
    let mut hash = Sha256::new();
    hash.update(previous.map_or(0, Check::get).to_be_bytes());
    hash.update(seq.to_be_bytes());
    hash.update(event);
    let hash = hash.finalize();
    let bits = hash.iter().take(4).fold(0, |bits, byte| bits << 8 | u32::from(*byte));
    Check::new(bits.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_depends_on_everything_before_it() {
        let one = next_check(None, 1, b"a");
        assert_eq!(one, Check::new(0x7b52_9358), "files store it");
        let two = next_check(one, 2, b"b");
        for other in [
            next_check(one, 2, b"c"),
            next_check(one, 3, b"b"),
            next_check(None, 2, b"b"),
            next_check(two, 2, b"b"),
        ] {
            assert_ne!(two, other);
        }
    }
}
