//! Texts for close codes and for the side that closed a connection.

use super::text::{TextKey, text_key};
use duplex_protocol::code::{ClosedBy, CodeMeaning};

pub fn meaning_text(meaning: CodeMeaning) -> TextKey {
    match meaning {
        CodeMeaning::Normal => text_key!(close.normal),
        CodeMeaning::GoingAway => text_key!(close.going_away),
        CodeMeaning::ProtocolError => text_key!(close.protocol_error),
        CodeMeaning::UnsupportedData => text_key!(close.unsupported_data),
        CodeMeaning::NoStatus => text_key!(close.no_status),
        CodeMeaning::Abnormal => text_key!(close.abnormal),
        CodeMeaning::InvalidPayload => text_key!(close.invalid_payload),
        CodeMeaning::PolicyViolation => text_key!(close.policy_violation),
        CodeMeaning::TooBig => text_key!(close.too_big),
        CodeMeaning::MandatoryExtension => text_key!(close.mandatory_extension),
        CodeMeaning::InternalError => text_key!(close.internal_error),
        CodeMeaning::ServiceRestart => text_key!(close.service_restart),
        CodeMeaning::TryAgainLater => text_key!(close.try_again_later),
        CodeMeaning::BadGateway => text_key!(close.bad_gateway),
        CodeMeaning::TlsHandshake => text_key!(close.tls_handshake),
        CodeMeaning::Unauthorized => text_key!(close.unauthorized),
        CodeMeaning::Forbidden => text_key!(close.forbidden),
        CodeMeaning::Timeout => text_key!(close.timeout),
        CodeMeaning::Registered => text_key!(close.registered),
        CodeMeaning::Private => text_key!(close.private),
        CodeMeaning::Unknown => text_key!(close.unknown),
    }
}

pub fn closed_by_text(side: ClosedBy) -> TextKey {
    match side {
        ClosedBy::Client => text_key!(handshake.ended_by_client),
        ClosedBy::Server => text_key!(handshake.ended_by_server),
        ClosedBy::Network => text_key!(handshake.ended_by_network),
    }
}
