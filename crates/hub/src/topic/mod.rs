//! One topic: its task, its state, its ring, and what its readers are given.

pub mod batch;
pub mod dedupe;
#[cfg(test)]
mod diverged_tests;
pub mod dyn_topic;
pub mod forward;
pub mod frames;
pub mod handle;
pub mod outbox;
pub mod page;
pub mod presence;
pub mod projection;
pub mod read_batch;
pub mod recovery;
pub mod redaction;
pub mod resume;
pub mod ring;
#[cfg(test)]
mod server_command_tests;
pub mod shared_state;
pub mod stats;
pub mod stored;
pub mod subscribers;
pub mod subscription;
pub mod task;
pub mod unwritten;
pub mod wake;
