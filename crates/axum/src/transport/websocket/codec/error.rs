//! The errors of the decoder, each with the close code of RFC 6455 section 7.4.1.

use duplex_protocol::code;

/// Why the server fails the connection. The text is the reason in its close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// RSV2, RSV3, or an RSV1 that no extension defines (RFC 6455 section 5.2, RFC 7692 section 6).
    #[error("a reserved bit is set")]
    ReservedBits,
    /// RFC 6455 section 5.2.
    #[error("opcode {0} is reserved")]
    ReservedOpcode(u8),
    /// RFC 6455 section 5.1.
    #[error("a client must mask its frames")]
    Unmasked,
    /// RFC 6455 section 5.5.
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// RFC 6455 section 5.5.
    #[error("a control frame may have 125 bytes")]
    ControlTooLong,
    /// RFC 6455 section 5.2.
    #[error("a length must have the shortest encoding")]
    NonMinimalLength,
    /// RFC 6455 section 5.2.
    #[error("a length must be less than 2^63")]
    LengthOverflow,
    /// RFC 6455 section 5.4.
    #[error("a continuation frame without a message")]
    UnexpectedContinuation,
    /// RFC 6455 section 5.4.
    #[error("a new message within a fragmented message")]
    ExpectedContinuation,
    /// RFC 6455 section 5.5.1.
    #[error("a close frame of one byte")]
    TruncatedCloseCode,
    /// RFC 6455 section 7.4.
    #[error("close code {0} must not be sent")]
    InvalidCloseCode(u16),
    /// RFC 6455 section 8.1.
    #[error("text must be valid UTF-8")]
    InvalidUtf8,
    /// RFC 7692 section 7.2.2.
    #[error("a compressed message must be valid DEFLATE data")]
    InvalidDeflate,
    /// The message exceeds the server's limit.
    #[error("a message may have {limit} bytes")]
    TooBig {
        /// The limit.
        limit: usize,
    },
}

impl DecodeError {
    /// The close code.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::InvalidUtf8 | Self::InvalidDeflate => code::INVALID_PAYLOAD,
            Self::TooBig { .. } => code::TOO_BIG,
            _ => code::PROTOCOL_ERROR,
        }
    }
}
