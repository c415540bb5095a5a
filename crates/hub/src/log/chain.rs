//! The checksum chain of a log: the checksum up to an event is a hash of the event and of the checksum before it. It is computed
//! when the event is appended, so an event that is redacted later keeps its checksum.

use sha2::{Digest as _, Sha256};

use duplex_protocol::cursor::{Checksum, Seq};

/// The checksum up to and including the event `seq`; `previous` is the previous event's checksum, `None` for the first event. The
/// result must be the same for the same events in every log, on every machine and in every version, because files store it.
pub fn next_checksum(previous: Option<Checksum>, seq: Seq, event: &[u8]) -> Option<Checksum> {
    let mut hash = Sha256::new();
    hash.update(previous.map_or(0, Checksum::get).to_be_bytes());
    hash.update(seq.to_be_bytes());
    hash.update(event);
    let hash = hash.finalize();
    let bits = hash.iter().take(4).fold(0, |bits, byte| bits << 8 | u32::from(*byte));
    Checksum::new(bits.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_depends_on_everything_before_it() {
        let one = next_checksum(None, 1, b"a");
        assert_eq!(one, Checksum::new(0x7b52_9358), "files store it");
        let two = next_checksum(one, 2, b"b");
        for other in [
            next_checksum(one, 2, b"c"),
            next_checksum(one, 3, b"b"),
            next_checksum(None, 2, b"b"),
            next_checksum(two, 2, b"b"),
        ] {
            assert_ne!(two, other);
        }
    }
}
