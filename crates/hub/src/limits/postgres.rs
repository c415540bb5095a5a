//! The limits of the log in a PostgreSQL database.

use std::time::Duration;

/// Capacity of the writer's queue of appends, about the size of one commit. Further callers block on `send`.
pub(crate) const LOG_QUEUE: usize = 1024;

/// The maximum number of appends in one transaction, and of their bytes. Round trips and the disk sync dominate a transaction's
/// cost, so larger batches are better until their size dominates.
pub(crate) const LOG_BATCH: usize = 1024;
pub(crate) const LOG_BATCH_BYTES: usize = 8 << 20;

/// Connections for reads and for snapshots.
pub(crate) const READ_CONNECTIONS: usize = 4;
pub(crate) const UPKEEP_CONNECTIONS: usize = 2;

/// The maximum number of a node's connections: also one for appends, and two of the bus. PostgreSQL allows 100 in all by default.
pub const NODE_CONNECTIONS: usize = 1 + READ_CONNECTIONS + UPKEEP_CONNECTIONS + 2;

/// How long a read or a snapshot waits for one of these connections.
pub(crate) const CONNECTION_WAIT: Duration = Duration::from_secs(10);

/// Notifications that wait for the node. Beyond them the server keeps them.
pub(crate) const NOTIFICATIONS: usize = 1024;

/// The timeout of connecting to one address of the server.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The server ends a statement after this time, and a wait for a row's lock after the shorter one. Another node holds a lock for a
/// few milliseconds.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// The server ends a session that is idle within a transaction, whose node died without closing its connection, and releases its
/// locks.
pub(crate) const IDLE_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that does not answer within this time is abandoned. Longer than [`STATEMENT_TIMEOUT`], so that a slow server answers
/// with an error first.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// TCP keepalive: a peer that disappeared is detected within 30 seconds even on an idle connection.
pub(crate) const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub(crate) const KEEPALIVE_RETRIES: u32 = 3;

/// The pause after a failed attempt to connect. It doubles after each failure. Requests during the pause fail without an attempt.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(3);

/// Attempts to commit a batch that the server aborted because of a deadlock or a serialization failure.
pub(crate) const COMMIT_ATTEMPTS: u32 = 5;

/// How long a start waits for another node that creates or migrates the tables.
pub(crate) const MIGRATION_WAIT: Duration = Duration::from_secs(60);

/// The interval in which the writer reads the size of the tables while a size limit is set.
pub(crate) const SIZE_INTERVAL: Duration = Duration::from_secs(10);
