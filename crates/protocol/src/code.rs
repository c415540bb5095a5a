//! WebSocket close codes: those of RFC 6455 section 7.4 and the [IANA registry], and those of the session protocol.
//!
//! As in Centrifugo, a client reconnects after a code from 4000 to 4499 and not after one from 4500 on ([`may_reconnect`]). The
//! module has no texts for visitors: a page maps a [`CodeMeaning`] to a text.
//!
//! [IANA registry]: https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number

use serde::{Deserialize, Serialize};

use super::frame::MAX_CONTROL_PAYLOAD;

/// The purpose of the connection is fulfilled (RFC 6455 section 7.4.1).
pub const NORMAL: u16 = 1000;
/// The server shuts down, or the browser left the page (RFC 6455 section 7.4.1).
pub const GOING_AWAY: u16 = 1001;
/// The peer violated the WebSocket protocol (RFC 6455 section 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;
/// Never on the wire: an endpoint reports it when the peer's close frame had no code (RFC 6455 section 7.4.1).
pub const NO_STATUS: u16 = 1005;
/// Never on the wire: an endpoint reports it when the connection ended without a close frame (RFC 6455 section 7.4.1).
pub const ABNORMAL: u16 = 1006;
/// A message's payload does not match its type, such as a text that is not UTF-8 (RFC 6455 section 7.4.1).
pub const INVALID_PAYLOAD: u16 = 1007;
/// The peer sent a message that is not allowed here (RFC 6455 section 7.4.1).
pub const POLICY_VIOLATION: u16 = 1008;
/// A message is larger than the endpoint accepts (RFC 6455 section 7.4.1).
pub const TOO_BIG: u16 = 1009;
/// The server failed (RFC 6455 section 7.4.1).
pub const INTERNAL_ERROR: u16 = 1011;
/// IANA: "Try Again Later". The server is at a limit.
pub const TRY_AGAIN: u16 = 1013;
/// IANA: "Timeout". The peer was silent for too long.
pub const TIMEOUT: u16 = 3008;

/// IANA: "Service Restart". The node drains; another node or its successor takes over.
pub const RESTART: u16 = 1012;
/// The client did not read; it may reconnect and resume from its cursor.
pub const SLOW: u16 = 4000;
/// The client sent more than its rate allows.
pub const TOO_FAST: u16 = 4001;
/// The hello frame did not arrive in time.
pub const NO_HELLO: u16 = 4002;
/// A frame could not be decoded.
pub const MALFORMED: u16 = 4500;
/// The server supports none of the protocol versions that the page offers: the page must be reloaded.
pub const RELOAD: u16 = 4501;
/// The caller's login ended: signed out, expired or revoked.
pub const ENDED: u16 = 4502;
/// An operator banned this visitor.
pub const BANNED: u16 = 4504;

/// Whether a client whose connection was closed with this code may reconnect automatically.
pub const fn may_reconnect(code: u16) -> bool {
    !matches!(
        code,
        NORMAL | PROTOCOL_ERROR | INVALID_PAYLOAD | TOO_BIG | POLICY_VIOLATION | 1003 | 3000 | 3003 | 4500..=4999
    )
}

/// The meaning of a close code by the [IANA registry](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeMeaning {
    /// 1000.
    Normal,
    /// 1001.
    GoingAway,
    /// 1002.
    ProtocolError,
    /// 1003.
    UnsupportedData,
    /// 1005.
    NoStatus,
    /// 1006.
    Abnormal,
    /// 1007.
    InvalidPayload,
    /// 1008.
    PolicyViolation,
    /// 1009.
    TooBig,
    /// 1010.
    MandatoryExtension,
    /// 1011.
    InternalError,
    /// 1012.
    ServiceRestart,
    /// 1013.
    TryAgainLater,
    /// 1014.
    BadGateway,
    /// 1015.
    TlsHandshake,
    /// 3000.
    Unauthorized,
    /// 3003.
    Forbidden,
    /// 3008.
    Timeout,
    /// Any other of 3000 to 3999: registered for libraries and frameworks.
    Registered,
    /// 4000 to 4999: private to the application.
    Private,
    /// Outside every range that RFC 6455 section 7.4.2 assigns.
    Unknown,
}

/// The meaning of a close code.
pub const fn meaning(code: u16) -> CodeMeaning {
    match code {
        NORMAL => CodeMeaning::Normal,
        GOING_AWAY => CodeMeaning::GoingAway,
        PROTOCOL_ERROR => CodeMeaning::ProtocolError,
        1003 => CodeMeaning::UnsupportedData,
        NO_STATUS => CodeMeaning::NoStatus,
        ABNORMAL => CodeMeaning::Abnormal,
        INVALID_PAYLOAD => CodeMeaning::InvalidPayload,
        POLICY_VIOLATION => CodeMeaning::PolicyViolation,
        TOO_BIG => CodeMeaning::TooBig,
        1010 => CodeMeaning::MandatoryExtension,
        INTERNAL_ERROR => CodeMeaning::InternalError,
        1012 => CodeMeaning::ServiceRestart,
        TRY_AGAIN => CodeMeaning::TryAgainLater,
        1014 => CodeMeaning::BadGateway,
        1015 => CodeMeaning::TlsHandshake,
        3000 => CodeMeaning::Unauthorized,
        3003 => CodeMeaning::Forbidden,
        TIMEOUT => CodeMeaning::Timeout,
        3001..=3999 => CodeMeaning::Registered,
        4000..=4999 => CodeMeaning::Private,
        _ => CodeMeaning::Unknown,
    }
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClosedBy {
    /// The client sent the first close frame.
    Client,
    /// The server sent the first close frame.
    Server,
    /// Neither: the connection broke without a close frame.
    Network,
}

/// Arguments that a browser's `WebSocket.close(code, reason)` would reject: see [MDN].
///
/// [MDN]: https://developer.mozilla.org/docs/Web/API/WebSocket/close#exceptions
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The code is neither 1000 nor one of 3000 to 4999.
    #[error("a page may close with 1000 or 3000 to 4999, not with {0}")]
    Code(u16),
    /// The reason is longer than [`MAX_REASON`]: its length in bytes of UTF-8.
    #[error("the reason has {0} bytes, the limit is {MAX_REASON}")]
    ReasonTooLong(usize),
}

/// Maximum length of a close reason, in bytes of UTF-8: a control frame's payload less the two bytes of the code (RFC 6455 section
/// 5.5.1).
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// Checks the arguments of a browser's `WebSocket.close`.
///
/// # Errors
///
/// [`CloseError::Code`] if a page may not send the code, [`CloseError::ReasonTooLong`] beyond [`MAX_REASON`] bytes.
pub const fn check_close(code: u16, reason: &str) -> Result<(), CloseError> {
    if code != NORMAL && (code < 3000 || code > 4999) {
        return Err(CloseError::Code(code));
    }
    if reason.len() > MAX_REASON {
        return Err(CloseError::ReasonTooLong(reason.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_close_with_the_codes_of_the_standard() {
        for code in [1000, 3000, 3008, 4000, 4999] {
            assert_eq!(check_close(code, ""), Ok(()));
        }
        for code in [0, 999, 1001, 1005, 1006, 1011, 2999, 5000, u16::MAX] {
            assert_eq!(check_close(code, ""), Err(CloseError::Code(code)));
        }
    }

    #[test]
    fn a_reason_is_counted_in_bytes_of_utf8() {
        assert_eq!(check_close(1000, &"가".repeat(41)), Ok(()));
        assert_eq!(check_close(1000, &"가".repeat(42)), Err(CloseError::ReasonTooLong(126)));
    }

    #[test]
    fn every_code_of_a_range_has_its_meaning() {
        assert_eq!(meaning(1000), CodeMeaning::Normal);
        assert_eq!(meaning(3008), CodeMeaning::Timeout);
        assert_eq!(meaning(3999), CodeMeaning::Registered);
        assert_eq!(meaning(4000), CodeMeaning::Private);
        assert_eq!(meaning(2000), CodeMeaning::Unknown);
        assert_eq!(meaning(5000), CodeMeaning::Unknown);
    }
}
