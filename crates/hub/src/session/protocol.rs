//! The server's half of the session protocol as a pure state machine: takes a client's frame and returns an action or a protocol
//! error. The clock is an argument.

use std::time::Duration;

use crate::limits;
use crate::session::TokenBucket;
use duplex_protocol::code;
use duplex_protocol::codec::EncodedValue;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::presence::MAX_ACTIVITY;
use duplex_protocol::session::{
    Answer, ClientFrame, CloseReason, CommandId, Denial, MAX_BUILD, MAX_COMMAND, MAX_SUBSCRIPTIONS, Rejection,
    ServerFrame, Verdict,
};
use duplex_protocol::topic::TopicName;

/// The action that the transport takes for a client's frame.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionAction {
    /// Answer with [`ServerFrame::Welcome`].
    Welcome {
        /// The requested name.
        name: Option<String>,
    },
    /// Subscribe the session's [`Reader`](super::Reader), and send its verdict.
    Subscribe {
        /// The topic.
        topic: TopicName,
        /// The client's position.
        cursor: Option<Cursor>,
    },
    /// End a subscription.
    Unsubscribe {
        /// The topic.
        topic: TopicName,
    },
    /// Authorize the command, send it to its topic, and send the reply.
    Command {
        /// The topic.
        topic: TopicName,
        /// The command's id.
        id: CommandId,
        /// The command, within [`MAX_COMMAND`].
        command: EncodedValue,
    },
    /// Set the session's activity.
    Activity {
        /// The topic.
        topic: TopicName,
        /// `None` ends the activity.
        activity: Option<String>,
    },
    /// Change the visitor's name, or send [`ServerFrame::NameRejected`].
    Rename {
        /// The requested name.
        name: String,
    },
    /// Send this frame.
    Send(ServerFrame),
}

/// A violation of the protocol by a client; its connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A hello is missing or repeated.
    #[error("expected exactly one hello, as the first frame")]
    Hello,
    /// No hello arrived in time.
    #[error("no hello was received in time")]
    NoHello,
    /// A frame does not decode; the text is the cause.
    #[error("a frame cannot be decoded: {0}")]
    Malformed(String),
    /// An activity is longer than [`MAX_ACTIVITY`] bytes.
    #[error("an activity is longer than {MAX_ACTIVITY} bytes")]
    Activity,
    /// Frames arrive faster than the session's rate allows.
    #[error("the frame rate limit is exceeded")]
    TooFast,
    /// The client offers no subprotocol that the server supports.
    #[error("the client offers no supported subprotocol")]
    UnsupportedSubprotocol,
}

impl ProtocolError {
    /// The reason in the last frame, [`ServerFrame::Closing`].
    pub const fn closing(&self) -> CloseReason {
        match self {
            Self::TooFast => CloseReason::TooFast,
            Self::UnsupportedSubprotocol => CloseReason::Reload,
            Self::Hello | Self::NoHello | Self::Malformed(_) | Self::Activity => CloseReason::Malformed,
        }
    }

    /// The close code of the connection.
    pub const fn code(&self) -> u16 {
        match self {
            Self::TooFast => code::TOO_FAST,
            Self::NoHello => code::NO_HELLO,
            Self::UnsupportedSubprotocol => code::RELOAD,
            Self::Hello | Self::Malformed(_) | Self::Activity => code::MALFORMED,
        }
    }
}

/// The protocol state of one session: whether it sent its hello, its subscriptions and its rates.
#[derive(Debug)]
pub struct Session {
    hello_received: bool,
    /// Without duplicates. A session has few, and each of many sessions a list.
    topics: Vec<TopicName>,
    frames: TokenBucket,
    commands: TokenBucket,
}

impl Session {
    /// A new session. `command_rate` is its commands per second, on average; frames of all kinds are limited in proportion.
    pub fn new(command_rate: u32) -> Self {
        let bucket = |rate: u32| {
            TokenBucket::new(
                rate.saturating_mul(limits::COMMAND_BURST_SECONDS),
                Duration::from_secs(1) / rate.max(1),
            )
        };
        Self {
            hello_received: false,
            topics: Vec::new(),
            frames: bucket(command_rate.saturating_mul(limits::FRAMES_PER_COMMAND)),
            commands: bucket(command_rate),
        }
    }

    /// Whether the hello arrived.
    pub const fn has_received_hello(&self) -> bool {
        self.hello_received
    }

    /// Handles a client's frame; `now` is the time since the session began. A command or subscription beyond a limit is answered
    /// by [`SessionAction::Send`].
    ///
    /// # Errors
    ///
    /// If the frame violates the protocol; the session is then over.
    pub fn on_frame(&mut self, frame: ClientFrame, now: Duration) -> Result<SessionAction, ProtocolError> {
        self.frames.take(now).map_err(|_| ProtocolError::TooFast)?;
        if matches!(frame, ClientFrame::Hello { .. }) == self.hello_received {
            return Err(ProtocolError::Hello);
        }
        Ok(match frame {
            ClientFrame::Hello { build, name } => self.hello(&build, name)?,
            ClientFrame::Subscribe { topic, cursor } => self.subscribe(topic, cursor),
            ClientFrame::Unsubscribe { topic } => {
                self.forget(&topic);
                SessionAction::Unsubscribe { topic }
            }
            ClientFrame::Command { topic, id, command } => self.command(topic, id, command, now),
            ClientFrame::Activity { topic, activity } => check_activity(topic, activity)?,
            ClientFrame::Rename { name } => SessionAction::Rename { name },
            ClientFrame::Ping { nonce } => SessionAction::Send(ServerFrame::Pong { nonce }),
        })
    }

    fn hello(&mut self, build: &str, name: Option<String>) -> Result<SessionAction, ProtocolError> {
        if build.len() > MAX_BUILD {
            return Err(ProtocolError::Malformed("the build id is too long".to_owned()));
        }
        self.hello_received = true;
        Ok(SessionAction::Welcome { name })
    }

    fn subscribe(&mut self, topic: TopicName, cursor: Option<Cursor>) -> SessionAction {
        let is_known = self.topics.contains(&topic);
        if self.topics.len() >= MAX_SUBSCRIPTIONS && !is_known {
            let verdict = Verdict::Denied {
                reason: Denial::TooMany,
            };
            return SessionAction::Send(ServerFrame::Verdict { topic, verdict });
        }
        if !is_known {
            self.topics.reserve_exact(1);
            self.topics.push(topic.clone());
        }
        SessionAction::Subscribe { topic, cursor }
    }

    /// Removes a topic whose subscription was denied from the session's subscriptions.
    pub fn remove_denied(&mut self, topic: &TopicName) {
        self.forget(topic);
    }

    fn forget(&mut self, topic: &TopicName) {
        self.topics.retain(|known| known != topic);
    }

    fn command(&mut self, topic: TopicName, id: CommandId, command: EncodedValue, now: Duration) -> SessionAction {
        let rejected = if command.0.len() > MAX_COMMAND {
            Some(Rejection::TooLarge)
        } else {
            self.commands.take(now).err().map(|wait| Rejection::TooFast {
                retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1),
            })
        };
        match rejected {
            None => SessionAction::Command { topic, id, command },
            Some(rejection) => SessionAction::Send(ServerFrame::Reply {
                id,
                answer: Answer::Rejected(rejection),
                duplicate: false,
            }),
        }
    }
}

fn check_activity(topic: TopicName, activity: Option<String>) -> Result<SessionAction, ProtocolError> {
    if activity.as_ref().is_some_and(|activity| activity.len() > MAX_ACTIVITY) {
        return Err(ProtocolError::Activity);
    }
    Ok(SessionAction::Activity { topic, activity })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);
    const RATE: u32 = 50;
    const BURST: u32 = RATE * limits::COMMAND_BURST_SECONDS;
    const FRAME_BURST: u32 = BURST * limits::FRAMES_PER_COMMAND;

    fn topic(number: usize) -> TopicName {
        format!("chat/{number}").parse().unwrap()
    }

    fn greeted() -> Session {
        let mut session = Session::new(RATE);
        session.on_frame(hello(), NOW).unwrap();
        session
    }

    fn hello() -> ClientFrame {
        ClientFrame::Hello {
            build: String::new(),
            name: Some(" Kim ".to_owned()),
        }
    }

    fn subscribe(number: usize) -> ClientFrame {
        ClientFrame::Subscribe {
            topic: topic(number),
            cursor: None,
        }
    }

    fn command(size: usize) -> ClientFrame {
        ClientFrame::Command {
            topic: topic(0),
            id: CommandId::from_bits(1),
            command: EncodedValue(vec![0; size]),
        }
    }

    #[test]
    fn hello_comes_first_and_once() {
        let mut session = Session::new(RATE);
        assert_eq!(session.on_frame(subscribe(1), NOW), Err(ProtocolError::Hello));
        let welcome = session.on_frame(hello(), NOW).unwrap();
        assert_eq!(
            welcome,
            SessionAction::Welcome {
                name: Some(" Kim ".to_owned())
            }
        );
        assert_eq!(session.on_frame(hello(), NOW), Err(ProtocolError::Hello));
    }

    #[test]
    fn subscriptions_are_bounded_and_can_be_released() {
        let mut session = greeted();
        for number in 0..MAX_SUBSCRIPTIONS {
            assert!(matches!(
                session.on_frame(subscribe(number), NOW),
                Ok(SessionAction::Subscribe { .. })
            ));
        }
        assert!(
            matches!(session.on_frame(subscribe(1), NOW), Ok(SessionAction::Subscribe { .. })),
            "a repeated subscription counts once"
        );
        let denied = SessionAction::Send(ServerFrame::Verdict {
            topic: topic(999),
            verdict: Verdict::Denied {
                reason: Denial::TooMany,
            },
        });
        assert_eq!(session.on_frame(subscribe(999), NOW), Ok(denied));
        session
            .on_frame(ClientFrame::Unsubscribe { topic: topic(0) }, NOW)
            .unwrap();
        assert!(matches!(
            session.on_frame(subscribe(999), NOW),
            Ok(SessionAction::Subscribe { .. })
        ));
    }

    #[test]
    fn a_command_has_a_size_and_a_rate() {
        let rejected = |act| match act {
            Ok(SessionAction::Send(ServerFrame::Reply {
                answer: Answer::Rejected(rejection),
                ..
            })) => Some(rejection),
            _ => None,
        };
        let mut session = greeted();
        assert_eq!(
            rejected(session.on_frame(command(MAX_COMMAND + 1), NOW)),
            Some(Rejection::TooLarge)
        );
        let accepted = (0..BURST + 10)
            .take_while(|_| rejected(session.on_frame(command(1), NOW)).is_none())
            .count();
        assert_eq!(accepted, BURST as usize);
        let Some(Rejection::TooFast { retry_after_ms }) = rejected(session.on_frame(command(1), NOW)) else {
            panic!("too fast")
        };
        let later = NOW + Duration::from_millis(retry_after_ms.into());
        assert_eq!(rejected(session.on_frame(command(1), later)), None);
    }

    #[test]
    fn the_operator_sets_the_command_rate() {
        let taken = |rate: u32, at: Duration| {
            let mut session = Session::new(rate);
            session.on_frame(hello(), NOW).unwrap();
            let passes = |act| matches!(act, Ok(SessionAction::Command { .. }));
            let burst = (0..10_000)
                .take_while(|_| passes(session.on_frame(command(1), NOW)))
                .count();
            let later = (0..10_000)
                .take_while(|_| passes(session.on_frame(command(1), NOW + at)))
                .count();
            (burst, later)
        };
        assert_eq!(taken(1, Duration::from_secs(2)), (6, 2));
        assert_eq!(taken(1000, Duration::from_secs(1)), (6000, 1000));
    }

    #[test]
    fn a_flood_of_frames_ends_the_session() {
        let mut session = greeted();
        let ping = || ClientFrame::Ping { nonce: 1 };
        let accepted = (0..FRAME_BURST * 2)
            .take_while(|_| session.on_frame(ping(), NOW).is_ok())
            .count();
        assert_eq!(accepted, FRAME_BURST as usize - 1);
    }
}
