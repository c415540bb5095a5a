//! Errors of an application's code and of its stored JSON.

use duplex_protocol::codec::CodecError;
use duplex_protocol::session::Rejection;

/// An event or a state cannot be decoded or encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It does not encode or decode.
    #[error("stored JSON cannot be decoded or encoded: {0}")]
    Codec(#[from] CodecError),
    /// The application's code panicked.
    #[error("the application panicked")]
    Panicked,
    /// The stored JSON has no version.
    #[error("the version of stored JSON cannot be decoded")]
    NoVersion,
    /// The stored JSON is of a version after [`Decider::STORED_VERSION`](crate::decider::Decider::STORED_VERSION).
    #[error("stored JSON has version {stored}, and this program supports versions up to {supported}")]
    Version {
        /// The version of the JSON.
        stored: u32,
        /// The newest version that the decider knows.
        supported: u32,
    },
}

/// Error of [`DynState::decide`](super::dyn_topic::DynState::decide).
#[derive(Debug)]
pub enum DecideError {
    /// The decider rejected the command, or the command does not decode.
    Rejected(Rejection),
    /// The application's code failed; the state is unusable.
    Broken(StateError),
}
