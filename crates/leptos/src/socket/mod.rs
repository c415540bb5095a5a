//! WebSockets in components: [`use_socket`].

pub mod browser_socket;
pub mod machine;
mod use_socket;

pub use self::machine::resolve;
pub use self::use_socket::*;
