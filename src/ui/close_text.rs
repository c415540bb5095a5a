//! Texts for close codes and for the side that closed a connection.

use super::text::{TextKey, text_key};
use duplex_protocol::code::{Meaning, Side};

pub fn meaning_text(meaning: Meaning) -> TextKey {
    match meaning {
        Meaning::Normal => text_key!(close.normal),
        Meaning::GoingAway => text_key!(close.going_away),
        Meaning::ProtocolError => text_key!(close.protocol_error),
        Meaning::UnsupportedData => text_key!(close.unsupported_data),
        Meaning::NoStatus => text_key!(close.no_status),
        Meaning::Abnormal => text_key!(close.abnormal),
        Meaning::InvalidPayload => text_key!(close.invalid_payload),
        Meaning::PolicyViolation => text_key!(close.policy_violation),
        Meaning::TooBig => text_key!(close.too_big),
        Meaning::MandatoryExtension => text_key!(close.mandatory_extension),
        Meaning::InternalError => text_key!(close.internal_error),
        Meaning::ServiceRestart => text_key!(close.service_restart),
        Meaning::TryAgainLater => text_key!(close.try_again_later),
        Meaning::BadGateway => text_key!(close.bad_gateway),
        Meaning::TlsHandshake => text_key!(close.tls_handshake),
        Meaning::Unauthorized => text_key!(close.unauthorized),
        Meaning::Forbidden => text_key!(close.forbidden),
        Meaning::Timeout => text_key!(close.timeout),
        Meaning::Registered => text_key!(close.registered),
        Meaning::Private => text_key!(close.private),
        Meaning::Unknown => text_key!(close.unknown),
    }
}

pub fn closed_by_text(side: Side) -> TextKey {
    match side {
        Side::Client => text_key!(handshake.ended_by_client),
        Side::Server => text_key!(handshake.ended_by_server),
        Side::Network => text_key!(handshake.ended_by_network),
    }
}
