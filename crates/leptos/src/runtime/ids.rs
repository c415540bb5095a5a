//! Random ids.

use leptos::prelude::window;

use crate::runtime::clock;
use duplex_protocol::session::CommandId;

/// 128 random bits as 32 hexadecimal digits: whoever knows the id may ask for what it names.
pub(crate) fn random_id() -> String {
    CommandId::from_bits(random()).as_str().to_owned()
}

/// An id that carries this machine's time. A command is sent under an id with the server's time (`session::outbox`).
pub(crate) fn command_id() -> CommandId {
    CommandId::at(clock::unix_millis(), random())
}

/// <https://developer.mozilla.org/docs/Web/API/Crypto/getRandomValues>
fn random() -> u128 {
    let mut bytes = [0; 16];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    u128::from_le_bytes(bytes)
}
