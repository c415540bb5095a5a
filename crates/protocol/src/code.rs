//! Close codes (RFC 6455 section 7.4 and the IANA WebSocket Close Code Number Registry): what they mean, who may send them.
//! Knows no language: a page turns a [`Meaning`] into words.

use serde::{Deserialize, Serialize};

use super::frame::MAX_CONTROL_PAYLOAD;

pub const NORMAL: u16 = 1000;
pub const GOING_AWAY: u16 = 1001;
pub const PROTOCOL_ERROR: u16 = 1002;
/// Never on the wire: what an endpoint reports when the peer's close frame had no code.
pub const NO_STATUS: u16 = 1005;
/// Never on the wire: what an endpoint reports when the connection ended without a close frame.
pub const ABNORMAL: u16 = 1006;
pub const INVALID_PAYLOAD: u16 = 1007;
/// The peer said what it may not say here.
pub const POLICY_VIOLATION: u16 = 1008;
pub const TOO_BIG: u16 = 1009;
pub const INTERNAL_ERROR: u16 = 1011;
/// IANA: "Try Again Later". Everything is taken.
pub const TRY_AGAIN: u16 = 1013;
/// IANA: "Timeout". Ours when the peer was silent for too long.
pub const TIMEOUT: u16 = 3008;

// The session's own codes. As elsewhere in the field: from 4000 on "come back", from 4500 on "do not".

/// IANA: "Service Restart". The node drains; a successor is or will be there.
pub const RESTART: u16 = 1012;
/// The client did not read; it may come back and go on from its cursor.
pub const SLOW: u16 = 4000;
/// The client said more than it may.
pub const TOO_FAST: u16 = 4001;
/// The first frame did not come in time, or a ping got no answer.
pub const NO_HELLO: u16 = 4002;
/// A frame was not understood.
pub const MALFORMED: u16 = 4500;
/// The page speaks no protocol of this server: load it again.
pub const RELOAD: u16 = 4501;
/// The token that opened the session was revoked or has expired, or its operator signed out.
pub const ENDED: u16 = 4502;
/// An operator banned this visitor.
pub const BANNED: u16 = 4504;

/// Whether a client that was closed with this code should try again by itself.
pub const fn may_return(code: u16) -> bool {
    !matches!(
        code,
        NORMAL | PROTOCOL_ERROR | INVALID_PAYLOAD | TOO_BIG | POLICY_VIOLATION | 1003 | 3000 | 3003 | 4500..=4999
    )
}

/// What a close code says, by the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    Normal,
    GoingAway,
    ProtocolError,
    UnsupportedData,
    NoStatus,
    Abnormal,
    InvalidPayload,
    PolicyViolation,
    TooBig,
    MandatoryExtension,
    InternalError,
    ServiceRestart,
    TryAgainLater,
    BadGateway,
    TlsHandshake,
    Unauthorized,
    Forbidden,
    Timeout,
    /// 3000 to 3999: registered for libraries and frameworks.
    Registered,
    /// 4000 to 4999: private to the application.
    Private,
    /// Outside every range that the protocol gives a meaning.
    Unknown,
}

pub const fn meaning(code: u16) -> Meaning {
    match code {
        NORMAL => Meaning::Normal,
        GOING_AWAY => Meaning::GoingAway,
        PROTOCOL_ERROR => Meaning::ProtocolError,
        1003 => Meaning::UnsupportedData,
        NO_STATUS => Meaning::NoStatus,
        ABNORMAL => Meaning::Abnormal,
        INVALID_PAYLOAD => Meaning::InvalidPayload,
        POLICY_VIOLATION => Meaning::PolicyViolation,
        TOO_BIG => Meaning::TooBig,
        1010 => Meaning::MandatoryExtension,
        INTERNAL_ERROR => Meaning::InternalError,
        1012 => Meaning::ServiceRestart,
        TRY_AGAIN => Meaning::TryAgainLater,
        1014 => Meaning::BadGateway,
        1015 => Meaning::TlsHandshake,
        3000 => Meaning::Unauthorized,
        3003 => Meaning::Forbidden,
        TIMEOUT => Meaning::Timeout,
        3001..=3999 => Meaning::Registered,
        4000..=4999 => Meaning::Private,
        _ => Meaning::Unknown,
    }
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Client,
    Server,
    /// Neither: the connection broke without a close frame.
    Network,
}

/// Why a browser's `WebSocket.close(code, reason)` would throw.
/// <https://developer.mozilla.org/docs/Web/API/WebSocket/close#exceptions>
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseRefused {
    #[error("a page may close with 1000 or 3000 to 4999, not with {0}")]
    Code(u16),
    #[error("the reason has {0} bytes, the limit is {MAX_REASON}")]
    ReasonTooLong(usize),
}

/// Bytes of UTF-8 that fit beside the code in a control frame's payload.
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

pub const fn check_close(code: u16, reason: &str) -> Result<(), CloseRefused> {
    if code != NORMAL && (code < 3000 || code > 4999) {
        return Err(CloseRefused::Code(code));
    }
    if reason.len() > MAX_REASON {
        return Err(CloseRefused::ReasonTooLong(reason.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_close_with_what_the_standard_allows() {
        for code in [1000, 3000, 3008, 4000, 4999] {
            assert_eq!(check_close(code, ""), Ok(()));
        }
        for code in [0, 999, 1001, 1005, 1006, 1011, 2999, 5000, u16::MAX] {
            assert_eq!(check_close(code, ""), Err(CloseRefused::Code(code)));
        }
    }

    #[test]
    fn a_reason_is_counted_in_bytes_of_utf8() {
        assert_eq!(check_close(1000, &"가".repeat(41)), Ok(()));
        assert_eq!(
            check_close(1000, &"가".repeat(42)),
            Err(CloseRefused::ReasonTooLong(126))
        );
    }

    #[test]
    fn every_code_of_a_range_has_its_meaning() {
        assert_eq!(meaning(1000), Meaning::Normal);
        assert_eq!(meaning(3008), Meaning::Timeout);
        assert_eq!(meaning(3999), Meaning::Registered);
        assert_eq!(meaning(4000), Meaning::Private);
        assert_eq!(meaning(2000), Meaning::Unknown);
        assert_eq!(meaning(5000), Meaning::Unknown);
    }
}
