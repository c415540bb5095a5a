//! Bounds of tokens, operators' sessions and guesses, each with its reason.

use std::time::Duration;

/// Bytes that are read of a file of tokens or sign-in links, and entries of each.
pub const DOCUMENT_BYTES: u64 = 1 << 20;
pub const TOKENS: usize = 1000;
pub const SIGN_IN_LINKS: usize = 16;

/// How long a token that ended is known, so that whoever still shows it hears why it is refused.
pub const ENDED_TOKEN_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Between two looks at the tokens for the sake of open sessions: so long after a revocation they end.
pub const TOKEN_LOOK: Duration = Duration::from_secs(1);

/// How long a sign-in link works.
pub const SIGN_IN_LINK_LIFE: Duration = Duration::from_secs(600);

/// Operators' browsers that are signed in; how long without a request, and at the longest.
pub const OPERATOR_SESSIONS: usize = 100;
pub const SESSION_IDLE: Duration = Duration::from_secs(12 * 60 * 60);
pub const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Wrong tokens of one address that cost no wait: typed into the sign-in form, and shown by programs. The longest wait after
/// more of them; a program that was given the wrong token by mistake should not keep its neighbours out for long.
pub const FREE_SIGN_INS: u32 = 5;
pub const SIGN_IN_WAIT: Duration = Duration::from_secs(15 * 60);
pub const FREE_BEARERS: u32 = 20;
pub const BEARER_WAIT: Duration = Duration::from_secs(60);

/// Wrong tokens of all addresses together: at once, and then in a second. A million addresses guess no faster.
pub const GUESSES_IN_ALL: f64 = 100.0;
pub const GUESSES_A_SECOND: f64 = 0.5;

/// Addresses whose wrong tokens are counted: some 100 bytes each.
pub const GUESSING_SOURCES: usize = 10_000;
