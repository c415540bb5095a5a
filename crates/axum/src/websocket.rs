//! WebSocket endpoints that the app defines, in addition to the session's: [`upgrade`] checks the handshake and runs a
//! [`ConnectionHandler`] on the connection.

pub use crate::transport::handler::{CloseFrame, ConnectionHandler, Message, Text};
pub use crate::transport::handshake::UpgradeEndpoint;
pub use crate::transport::upgrade::upgrade;
