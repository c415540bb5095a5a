//! Events, codes and errors in the visitor's language.

use super::super::{content::HexError, model::Kind};
pub use crate::ui::closing::meaning;
use crate::{
    i18n::*,
    ui::{
        format,
        words::{Words, fill, words},
    },
};
use duplex_leptos::socket::SocketError;
use duplex_protocol::code::{CloseError, MAX_REASON, Side};

pub fn kind(kind: Kind) -> Words {
    match kind {
        Kind::Connecting => words!(echo.kind_connecting),
        Kind::Open => words!(echo.kind_open),
        Kind::Sent => words!(echo.kind_sent),
        Kind::Received => words!(echo.kind_received),
        Kind::Closing => words!(echo.kind_closing),
        Kind::Closed => words!(echo.kind_closed),
        Kind::Error => words!(echo.kind_error),
    }
}

pub fn closed_by(side: Side) -> Words {
    match side {
        Side::Client => words!(echo.closed_by_client),
        Side::Server => words!(echo.closed_by_server),
        Side::Network => words!(echo.closed_by_network),
    }
}

pub fn error(locale: Locale, error: &SocketError) -> String {
    let words: Words = match error {
        SocketError::Address { .. } => words!(echo.bad_address),
        SocketError::Insecure { .. } => words!(echo.insecure),
        SocketError::NotOpen => words!(echo.not_open),
        SocketError::Connection => words!(echo.failed),
        SocketError::Close(CloseError::Code(_)) => words!(echo.bad_code),
        SocketError::Close(CloseError::ReasonTooLong(_)) => words!(echo.long_reason),
    };
    fill(words(locale), &[("limit", &MAX_REASON.to_string())])
}

/// Why something was not sent.
#[derive(Debug, Clone, PartialEq)]
pub enum NotSent {
    Socket(SocketError),
    Hex(HexError),
    FileTooLarge { size: u64, limit: u64 },
    FileUnreadable,
}

pub fn not_sent(locale: Locale, why: &NotSent) -> String {
    match why {
        NotSent::Socket(socket) => error(locale, socket),
        NotSent::Hex(HexError::Odd) => td_string!(locale, echo.hex_odd).to_owned(),
        NotSent::Hex(HexError::NotHex { found, place }) => {
            let (found, place) = (found.to_string(), place.to_string());
            fill(
                td_string!(locale, echo.hex_wrong),
                &[("place", &place), ("found", &found)],
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
