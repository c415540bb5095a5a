//! Wire types of fault injection, with which a visitor breaks their own session to watch it recover: the request and the report. A
//! server with fault injection switched off answers `GET` [`FAULTS_PATH`] with a report whose `on` is false.

use serde::{Deserialize, Serialize};

use super::session::SessionId;

/// Path of the endpoint: `POST` a [`FaultRequest`], or `GET …?session=ID`; the answer to both is a [`FaultReport`].
pub const FAULTS_PATH: &str = "/api/faults";

/// Maximum duration of a fault, in milliseconds.
pub const MAX_FAULT_MS: u32 = 120_000;
/// Maximum delay of a write, in milliseconds: shorter than every client timeout, so that a delay ends no connection.
pub const MAX_DELAY_MS: u32 = 3_000;

/// A fault of a session's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The server drops the connection without a close frame, as in a network failure.
    #[serde(rename = "cut")]
    Disconnect,
    /// The server asks the session to reconnect later, as before it shuts down.
    Drain,
    /// The server rejects new connections of this visitor as a blocking proxy would, and drops open ones.
    Block {
        /// Rejects WebSocket.
        websocket: bool,
        /// Rejects server-sent events.
        sse: bool,
        /// Duration in milliseconds, at most [`MAX_FAULT_MS`].
        for_ms: u32,
    },
    /// Removes the block.
    Unblock,
    /// The server waits before each write to the session.
    Delay {
        /// The wait in milliseconds, at most [`MAX_DELAY_MS`].
        by_ms: u32,
        /// Duration in milliseconds, at most [`MAX_FAULT_MS`].
        for_ms: u32,
    },
    /// The server writes nothing to the session, as if its client did not read.
    #[serde(rename = "slow")]
    Stall {
        /// Duration in milliseconds, at most [`MAX_FAULT_MS`].
        for_ms: u32,
    },
}

impl Fault {
    /// The name of the fault in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disconnect => "cut",
            Self::Drain => "drain",
            Self::Block { sse: false, .. } => "block_websocket",
            Self::Block { .. } => "block_sse",
            Self::Unblock => "unblock",
            Self::Delay { .. } => "delay",
            Self::Stall { .. } => "slow",
        }
    }

    /// Whether the fault's times are within [`MAX_FAULT_MS`] and [`MAX_DELAY_MS`]; a server rejects any other fault.
    pub const fn is_bounded(self) -> bool {
        match self {
            Self::Disconnect | Self::Drain | Self::Unblock => true,
            Self::Block { for_ms, .. } | Self::Stall { for_ms } => for_ms <= MAX_FAULT_MS,
            Self::Delay { by_ms, for_ms } => by_ms <= MAX_DELAY_MS && for_ms <= MAX_FAULT_MS,
        }
    }
}

/// A request for a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRequest {
    /// The session, which must be the visitor's own.
    pub session: SessionId,
    /// The fault.
    pub fault: Fault,
}

/// The active faults of a session. Times are remaining milliseconds; 0 if there is no such fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Whether the operator allows faults.
    #[serde(rename = "on")]
    pub enabled: bool,
    /// Whether the session is connected to this node and is the visitor's own.
    #[serde(rename = "known")]
    pub is_own_session: bool,
    /// Remaining time of [`Fault::Delay`].
    pub delay_ms: u64,
    /// Remaining time of [`Fault::Stall`].
    #[serde(rename = "slow_ms")]
    pub stall_ms: u64,
    /// Remaining time of [`Fault::Block`] for WebSocket.
    pub websocket_blocked_ms: u64,
    /// Remaining time of [`Fault::Block`] for server-sent events.
    pub sse_blocked_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_encoded_as_its_name_and_parameters() {
        let request = FaultRequest {
            session: SessionId("s-1".to_owned()),
            fault: Fault::Delay {
                by_ms: 100,
                for_ms: 5_000,
            },
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(
            text,
            r#"{"session":"s-1","fault":{"delay":{"by_ms":100,"for_ms":5000}}}"#
        );
        assert_eq!(serde_json::from_str::<FaultRequest>(&text).unwrap(), request);
        assert_eq!(serde_json::to_string(&Fault::Disconnect).unwrap(), r#""cut""#);
    }

    #[test]
    fn a_fault_that_lasts_too_long_is_not_bounded() {
        assert!(Fault::Stall { for_ms: MAX_FAULT_MS }.is_bounded());
        assert!(
            !Fault::Stall {
                for_ms: MAX_FAULT_MS + 1
            }
            .is_bounded()
        );
        let (by_ms, for_ms) = (MAX_DELAY_MS + 1, 1);
        assert!(!Fault::Delay { by_ms, for_ms }.is_bounded());
    }
}
