//! How connections end, in the visitor's language.

use super::words::{Words, words};
use duplex_protocol::code::{Meaning, Side};

pub fn meaning(meaning: Meaning) -> Words {
    match meaning {
        Meaning::Normal => words!(close.normal),
        Meaning::GoingAway => words!(close.going_away),
        Meaning::ProtocolError => words!(close.protocol_error),
        Meaning::UnsupportedData => words!(close.unsupported_data),
        Meaning::NoStatus => words!(close.no_status),
        Meaning::Abnormal => words!(close.abnormal),
        Meaning::InvalidPayload => words!(close.invalid_payload),
        Meaning::PolicyViolation => words!(close.policy_violation),
        Meaning::TooBig => words!(close.too_big),
        Meaning::MandatoryExtension => words!(close.mandatory_extension),
        Meaning::InternalError => words!(close.internal_error),
        Meaning::ServiceRestart => words!(close.service_restart),
        Meaning::TryAgainLater => words!(close.try_again_later),
        Meaning::BadGateway => words!(close.bad_gateway),
        Meaning::TlsHandshake => words!(close.tls_handshake),
        Meaning::Unauthorized => words!(close.unauthorized),
        Meaning::Forbidden => words!(close.forbidden),
        Meaning::Timeout => words!(close.timeout),
        Meaning::Registered => words!(close.registered),
        Meaning::Private => words!(close.private),
        Meaning::Unknown => words!(close.unknown),
    }
}

pub fn ended_by(side: Side) -> Words {
    match side {
        Side::Client => words!(handshake.ended_by_client),
        Side::Server => words!(handshake.ended_by_server),
        Side::Network => words!(handshake.ended_by_network),
    }
}
