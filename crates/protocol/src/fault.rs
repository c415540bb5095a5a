//! Faults that a visitor may ask for in a session of their own, to see what becomes of it: what is asked, and what the server
//! says of it. Knows no transport.

use serde::{Deserialize, Serialize};

use super::session::SessionId;

/// `POST` a [`FaultRequest`], or `GET …?session=ID`; the answer to both is a [`FaultReport`].
pub const FAULTS_PATH: &str = "/api/faults";

/// Milliseconds for which a fault may last. It outlives the visitor's interest by no more than that.
pub const LONGEST_FAULT: u32 = 120_000;
/// Milliseconds by which frames may be held back: less than any patience of a client, so that only time is lost.
pub const LONGEST_DELAY: u32 = 3_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is dropped without a close frame, as by a network that went away.
    Cut,
    /// The server asks the session to come back later, as before it goes away.
    Drain,
    /// New connections of this visitor are refused as a proxy would refuse them, and open ones are cut.
    Block {
        websocket: bool,
        sse: bool,
        for_ms: u32,
    },
    Unblock,
    /// The server waits so long before each write to the session.
    Delay {
        by_ms: u32,
        for_ms: u32,
    },
    /// The server writes nothing to the session, as if its client did not read.
    Slow {
        for_ms: u32,
    },
}

impl Fault {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Drain => "drain",
            Self::Block { sse: false, .. } => "block_websocket",
            Self::Block { .. } => "block_sse",
            Self::Unblock => "unblock",
            Self::Delay { .. } => "delay",
            Self::Slow { .. } => "slow",
        }
    }

    /// Whether it ends soon enough to be made.
    pub const fn is_bounded(self) -> bool {
        match self {
            Self::Cut | Self::Drain | Self::Unblock => true,
            Self::Block { for_ms, .. } | Self::Slow { for_ms } => for_ms <= LONGEST_FAULT,
            Self::Delay { by_ms, for_ms } => by_ms <= LONGEST_DELAY && for_ms <= LONGEST_FAULT,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRequest {
    pub session: SessionId,
    pub fault: Fault,
}

/// Milliseconds are of what is left; 0 is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The operator allows faults.
    pub on: bool,
    /// The session is known to this node, and the visitor's own.
    pub known: bool,
    pub delay_ms: u64,
    pub slow_ms: u64,
    pub websocket_blocked_ms: u64,
    pub sse_blocked_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_as_a_name_with_its_figures() {
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
        assert_eq!(serde_json::to_string(&Fault::Cut).unwrap(), r#""cut""#);
    }

    #[test]
    fn what_does_not_end_soon_is_not_made() {
        assert!(Fault::Slow { for_ms: LONGEST_FAULT }.is_bounded());
        assert!(
            !Fault::Slow {
                for_ms: LONGEST_FAULT + 1
            }
            .is_bounded()
        );
        let (by_ms, for_ms) = (LONGEST_DELAY + 1, 1);
        assert!(!Fault::Delay { by_ms, for_ms }.is_bounded());
    }
}
