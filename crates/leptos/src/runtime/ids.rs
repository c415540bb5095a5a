//! Random ids.

use leptos::prelude::window;

use crate::runtime::clock;
use duplex_protocol::session::CommandId;

/// 128 random bits as 32 hexadecimal digits. Unguessable, because knowing the id grants access to what it identifies.
pub(crate) fn random_id() -> String {
    CommandId::from_bits(random()).as_str().to_owned()
}

/// A command id with the local time; `session::outbox` replaces the time with the server's when it sends the command.
pub(crate) fn command_id() -> CommandId {
    CommandId::from_time(clock::unix_millis(), random())
}

/// <https://developer.mozilla.org/docs/Web/API/Crypto/getRandomValues>
fn random() -> u128 {
    let mut bytes = [0; 16];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    u128::from_le_bytes(bytes)
}
