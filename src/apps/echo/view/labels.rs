//! Localized texts for events, codes and errors.

use super::super::{hex::HexError, journal::Kind};
pub use crate::ui::close_text::meaning_text;
use crate::{
    i18n::*,
    ui::{
        format,
        text::{TextKey, fill, text_key},
    },
};
use duplex_leptos::socket::SocketError;
use duplex_protocol::code::{CloseError, ClosedBy, MAX_REASON};

pub fn kind(kind: Kind) -> TextKey {
    match kind {
        Kind::Connecting => text_key!(echo.kind_connecting),
        Kind::Open => text_key!(echo.kind_open),
        Kind::Sent => text_key!(echo.kind_sent),
        Kind::Received => text_key!(echo.kind_received),
        Kind::Closing => text_key!(echo.kind_closing),
        Kind::Closed => text_key!(echo.kind_closed),
        Kind::Error => text_key!(echo.kind_error),
    }
}

pub fn closed_by(side: ClosedBy) -> TextKey {
    match side {
        ClosedBy::Client => text_key!(echo.closed_by_client),
        ClosedBy::Server => text_key!(echo.closed_by_server),
        ClosedBy::Network => text_key!(echo.closed_by_network),
    }
}

pub fn error(locale: Locale, error: &SocketError) -> String {
    let key: TextKey = match error {
        SocketError::Address { .. } => text_key!(echo.bad_address),
        SocketError::Insecure { .. } => text_key!(echo.insecure),
        SocketError::NotOpen => text_key!(echo.not_open),
        SocketError::Connection => text_key!(echo.failed),
        SocketError::Close(CloseError::Code(_)) => text_key!(echo.bad_code),
        SocketError::Close(CloseError::ReasonTooLong(_)) => text_key!(echo.long_reason),
    };
    fill(key(locale), &[("limit", &MAX_REASON.to_string())])
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq)]
pub enum NotSent {
    Socket(SocketError),
    Hex(HexError),
    FileTooLarge { size: u64, limit: u64 },
    FileUnreadable,
}

pub fn not_sent(locale: Locale, reason: &NotSent) -> String {
    match reason {
        NotSent::Socket(socket) => error(locale, socket),
        NotSent::Hex(HexError::OddLength) => td_string!(locale, echo.hex_odd).to_owned(),
        NotSent::Hex(HexError::InvalidCharacter { found, position }) => {
            let (found, position) = (found.to_string(), position.to_string());
            fill(
                td_string!(locale, echo.hex_wrong),
                &[("place", &position), ("found", &found)],
            )
        }
        NotSent::FileTooLarge { size, limit } => {
            let (size, limit) = (format::bytes(*size), format::bytes(*limit));
            fill(
                td_string!(locale, echo.file_too_large),
                &[("size", &size), ("limit", &limit)],
            )
        }
        NotSent::FileUnreadable => td_string!(locale, echo.file_unreadable).to_owned(),
    }
}
