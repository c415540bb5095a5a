//! The server as something that can be measured: bytes per connection, counted for whoever labels their requests, and plain
//! addresses to measure by. Knows no application.

pub mod byte_ledger;
pub mod mailboxes;
mod routes;
mod watch;
pub mod wire_bytes;

pub use self::routes::{count_bytes, routes};
pub use crate::apps::compare::wire::measure::{MAX_PAYLOAD, is_run, signal_name};

use self::byte_ledger::ByteLedger;
use self::mailboxes::Mailboxes;

/// What a node keeps for those who measure it; all of it in memory, bounded, and forgotten soon.
#[derive(Debug, Default)]
pub struct Measurements {
    pub byte_ledger: ByteLedger,
    pub mailboxes: Mailboxes,
}

/// Processor time of this process up to now, all threads together, in microseconds.
pub fn cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default() / 1000
}
