//! One session: the protocol's state, what its reader finds in topics, and how often it may command.

pub mod authorize;
pub mod protocol;
pub mod rate_limit;
pub mod reader;
