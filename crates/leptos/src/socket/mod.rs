//! WebSocket hooks: [`use_socket`](use_socket()), and [`BrowserSocket`] for code outside components.

mod browser_socket;
mod driver;
mod event;
pub(crate) mod machine;
mod use_socket;

pub use self::browser_socket::{BrowserSocket, resolve};
pub use self::event::{Closed, Payload, SocketError, SocketEvent, SocketState};
pub use self::machine::BrowserSocketEvent;
pub use self::use_socket::{PreconnectedSocket, SocketOptions, UseSocket, use_socket};

#[cfg(test)]
mod tests;
