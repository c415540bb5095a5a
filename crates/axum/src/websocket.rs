//! WebSockets of an app's own, beside the session's: [`upgrade`] checks the handshake and runs a [`Talk`] on the connection.

pub use crate::transport::handler::{Farewell, Packet, Talk, Text};
pub use crate::transport::handshake::UpgradeEndpoint;
pub use crate::transport::upgrade::upgrade;
