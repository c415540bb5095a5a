//! The server's half of the session protocol, as a pure state machine: a client's frame goes in, an action or a protocol error comes
//! out. The clock is an argument.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::limits;
use crate::session::Bucket;
use duplex_protocol::code;
use duplex_protocol::codec::Blob;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::presence::MAX_ACTIVITY;
use duplex_protocol::session::{
    Answer, ClientFrame, Closing, CommandId, Denied, MAX_BUILD, MAX_COMMAND, MAX_SUBSCRIPTIONS, Rejection, ServerFrame,
    Verdict,
};
use duplex_protocol::topic::TopicName;

/// What the transport must do for a client's frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Answer with [`ServerFrame::Welcome`].
    Welcome {
        /// The name that the client asks for.
        name: Option<String>,
    },
    /// Subscribe the session's [`Reader`](super::Reader), and answer with its verdict.
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
    /// Authorize the command, send it to its topic, and answer with the reply.
    Command {
        /// The topic.
        topic: TopicName,
        /// The command's id.
        id: CommandId,
        /// The command, within [`MAX_COMMAND`].
        command: Blob,
    },
    /// Show what the session is doing.
    Activity {
        /// The topic.
        topic: TopicName,
        /// None ends it.
        activity: Option<String>,
    },
    /// Change the visitor's name, or answer with [`ServerFrame::NameRefused`].
    Rename {
        /// The name that the client asks for.
        name: String,
    },
    /// Send this answer.
    Say(ServerFrame),
}

/// A client broke the protocol; its connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The first frame is not a hello, or a later one is.
    #[error("the first frame is a hello, and the only one")]
    Hello,
    /// No hello came in time.
    #[error("no hello came")]
    NoHello,
    /// A frame does not decode; the text says why.
    #[error("a frame cannot be read: {0}")]
    Unreadable(String),
    /// An activity is longer than [`MAX_ACTIVITY`] bytes.
    #[error("an activity has at most {MAX_ACTIVITY} bytes")]
    Activity,
    /// Frames come faster than the session's rate allows.
    #[error("more frames than a session may send")]
    TooFast,
    /// The client offers no subprotocol that the server has.
    #[error("the page speaks no protocol of this server")]
    Protocol,
}

impl ProtocolError {
    /// The reason in the last frame, [`ServerFrame::Closing`].
    pub const fn closing(&self) -> Closing {
        match self {
            Self::TooFast => Closing::TooFast,
            Self::Protocol => Closing::Reload,
            Self::Hello | Self::NoHello | Self::Unreadable(_) | Self::Activity => Closing::Malformed,
        }
    }

    /// The close code of the connection.
    pub const fn code(&self) -> u16 {
        match self {
            Self::TooFast => code::TOO_FAST,
            Self::NoHello => code::NO_HELLO,
            Self::Protocol => code::RELOAD,
            Self::Hello | Self::Unreadable(_) | Self::Activity => code::MALFORMED,
        }
    }
}

/// The protocol state of one session: whether it said hello, its subscriptions and its rates.
#[derive(Debug)]
pub struct Session {
    greeted: bool,
    topics: BTreeSet<TopicName>,
    frames: Bucket,
    commands: Bucket,
}

impl Session {
    /// A new session. `command_rate` is its commands per second, on average; frames of all kinds are limited in proportion.
    pub fn new(command_rate: u32) -> Self {
        let bucket = |rate: u32| {
            Bucket::new(
                rate.saturating_mul(limits::COMMAND_BURST_SECONDS),
                Duration::from_secs(1) / rate.max(1),
            )
        };
        Self {
            greeted: false,
            topics: BTreeSet::new(),
            frames: bucket(command_rate.saturating_mul(limits::FRAMES_PER_COMMAND)),
            commands: bucket(command_rate),
        }
    }

    /// Whether the hello came.
    pub const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Takes a client's frame; `now` is the time since the session began. A command or subscription beyond a limit is answered by
    /// [`Act::Say`].
    ///
    /// # Errors
    ///
    /// If the frame breaks the protocol; the session is then over.
    pub fn on_frame(&mut self, frame: ClientFrame, now: Duration) -> Result<Act, ProtocolError> {
        self.frames.take(now).map_err(|_| ProtocolError::TooFast)?;
        if matches!(frame, ClientFrame::Hello { .. }) == self.greeted {
            return Err(ProtocolError::Hello);
        }
        Ok(match frame {
            ClientFrame::Hello { build, name } => self.hello(&build, name)?,
            ClientFrame::Subscribe { topic, cursor } => self.subscribe(topic, cursor),
            ClientFrame::Unsubscribe { topic } => {
                self.topics.remove(&topic);
                Act::Unsubscribe { topic }
            }
            ClientFrame::Command { topic, id, command } => self.command(topic, id, command, now),
            ClientFrame::Activity { topic, activity } => activity_of(topic, activity)?,
            ClientFrame::Rename { name } => Act::Rename { name },
            ClientFrame::Ping { nonce } => Act::Say(ServerFrame::Pong { nonce }),
        })
    }

    fn hello(&mut self, build: &str, name: Option<String>) -> Result<Act, ProtocolError> {
        if build.len() > MAX_BUILD {
            return Err(ProtocolError::Unreadable("the build's name is too long".to_owned()));
        }
        self.greeted = true;
        Ok(Act::Welcome { name })
    }

    fn subscribe(&mut self, topic: TopicName, cursor: Option<Cursor>) -> Act {
        if self.topics.len() >= MAX_SUBSCRIPTIONS && !self.topics.contains(&topic) {
            let verdict = Verdict::Denied {
                reason: Denied::TooMany,
            };
            return Act::Say(ServerFrame::Verdict { topic, verdict });
        }
        self.topics.insert(topic.clone());
        Act::Subscribe { topic, cursor }
    }

    /// Frees the place of a topic whose subscription was denied.
    pub fn denied(&mut self, topic: &TopicName) {
        self.topics.remove(topic);
    }

    fn command(&mut self, topic: TopicName, id: CommandId, command: Blob, now: Duration) -> Act {
        let rejected = if command.0.len() > MAX_COMMAND {
            Some(Rejection::TooLarge)
        } else {
            self.commands.take(now).err().map(|wait| Rejection::TooFast {
                retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1),
            })
        };
        match rejected {
            None => Act::Command { topic, id, command },
            Some(rejection) => Act::Say(ServerFrame::Reply {
                id,
                answer: Answer::Rejected(rejection),
                duplicate: false,
            }),
        }
    }
}

fn activity_of(topic: TopicName, activity: Option<String>) -> Result<Act, ProtocolError> {
    if activity.as_ref().is_some_and(|activity| activity.len() > MAX_ACTIVITY) {
        return Err(ProtocolError::Activity);
    }
    Ok(Act::Activity { topic, activity })
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
            command: Blob(vec![0; size]),
        }
    }

    #[test]
    fn hello_comes_first_and_once() {
        let mut session = Session::new(RATE);
        assert_eq!(session.on_frame(subscribe(1), NOW), Err(ProtocolError::Hello));
        let welcome = session.on_frame(hello(), NOW).unwrap();
        assert_eq!(
            welcome,
            Act::Welcome {
                name: Some(" Kim ".to_owned())
            }
        );
        assert_eq!(session.on_frame(hello(), NOW), Err(ProtocolError::Hello));
    }

    #[test]
    fn topics_are_bounded_and_a_place_can_be_had_back() {
        let mut session = greeted();
        for number in 0..MAX_SUBSCRIPTIONS {
            assert!(matches!(
                session.on_frame(subscribe(number), NOW),
                Ok(Act::Subscribe { .. })
            ));
        }
        assert!(
            matches!(session.on_frame(subscribe(1), NOW), Ok(Act::Subscribe { .. })),
            "again is not another"
        );
        let denied = Act::Say(ServerFrame::Verdict {
            topic: topic(999),
            verdict: Verdict::Denied {
                reason: Denied::TooMany,
            },
        });
        assert_eq!(session.on_frame(subscribe(999), NOW), Ok(denied));
        session
            .on_frame(ClientFrame::Unsubscribe { topic: topic(0) }, NOW)
            .unwrap();
        assert!(matches!(
            session.on_frame(subscribe(999), NOW),
            Ok(Act::Subscribe { .. })
        ));
    }

    #[test]
    fn a_command_has_a_size_and_a_rate() {
        let rejected = |act| match act {
            Ok(Act::Say(ServerFrame::Reply {
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
    fn the_rate_of_commands_is_the_operators() {
        let taken = |rate: u32, at: Duration| {
            let mut session = Session::new(rate);
            session.on_frame(hello(), NOW).unwrap();
            let passes = |act| matches!(act, Ok(Act::Command { .. }));
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
        let heard = (0..FRAME_BURST * 2)
            .take_while(|_| session.on_frame(ping(), NOW).is_ok())
            .count();
        assert_eq!(heard, FRAME_BURST as usize - 1);
    }
}
