//! The server side of the measurements: byte counters for labelled requests, and the measured endpoints.

pub mod byte_ledger;
mod mailbox_socket;
pub mod mailboxes;
mod routes;
pub mod wire_bytes;

pub use self::routes::{count_bytes, routes};
pub use crate::apps::compare::wire::measure::{MAX_PAYLOAD, is_run_id, signal_name};

use self::byte_ledger::ByteLedger;
use self::mailboxes::Mailboxes;

/// The node's measurement state: in memory, bounded, and short-lived.
#[derive(Debug, Default)]
pub struct Measurements {
    pub byte_ledger: ByteLedger,
    pub mailboxes: Mailboxes,
}

/// CPU time that this process has used, over all threads, in microseconds.
pub fn cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default() / 1000
}
