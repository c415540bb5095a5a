//! Limits of tokens, operator sessions and guesses, each with its reason.

use std::time::Duration;

/// Maximum size of a file of tokens or sign-in links in bytes, and the maximum number of entries in each.
pub const DOCUMENT_BYTES: u64 = 1 << 20;
pub const TOKENS: usize = 1000;
pub const SIGN_IN_LINKS: usize = 16;

/// Retention of revoked and expired tokens. While a token is retained, its holder learns why it is rejected.
pub const ENDED_TOKEN_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Interval at which the token file is polled: an open session ends at most this long after its token is revoked.
pub const TOKEN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Lifetime of a sign-in link.
pub const SIGN_IN_LINK_LIFETIME: Duration = Duration::from_secs(600);

/// Concurrent operator sessions, the idle time after which one ends, and its longest lifetime.
pub const OPERATOR_SESSIONS: usize = 100;
pub const SESSION_IDLE: Duration = Duration::from_secs(12 * 60 * 60);
pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Failures of one address before it has to wait, and its longest wait: for the sign-in form, and for bearer tokens. A
/// misconfigured program should not lock out others at its address for long.
pub const FREE_SIGN_IN_FAILURES: u32 = 5;
pub const MAX_SIGN_IN_WAIT: Duration = Duration::from_secs(15 * 60);
pub const FREE_BEARER_FAILURES: u32 = 20;
pub const MAX_BEARER_WAIT: Duration = Duration::from_secs(60);

/// Failures of all addresses together: burst, and rate per second. More addresses do not allow more guesses.
pub const GLOBAL_FAILURE_BURST: f64 = 100.0;
pub const GLOBAL_FAILURES_PER_SECOND: f64 = 0.5;

/// Addresses whose failures are counted: some 100 bytes each.
pub const THROTTLED_SOURCES: usize = 10_000;
