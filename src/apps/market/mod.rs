//! The market: prices that change many times in a second, how they came to be, and a word when one is reached.

pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
pub mod wire;
