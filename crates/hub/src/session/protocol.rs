//! A session's half of the protocol: a frame comes in, and what it asks for goes out, or why it is refused. Pure.
//! Knows no topic's state, no transport and no clock.

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

/// What a frame asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The client said hello: it is welcome.
    Welcome {
        name: Option<String>,
    },
    Subscribe {
        topic: TopicName,
        cursor: Option<Cursor>,
    },
    Unsubscribe {
        topic: TopicName,
    },
    Command {
        topic: TopicName,
        id: CommandId,
        command: Blob,
    },
    Activity {
        topic: TopicName,
        activity: Option<String>,
    },
    Rename {
        name: String,
    },
    /// The answer is known already.
    Say(ServerFrame),
}

/// The client broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("the first frame is a hello, and the only one")]
    Hello,
    #[error("no hello came")]
    NoHello,
    #[error("a frame cannot be read: {0}")]
    Unreadable(String),
    #[error("an activity has at most {MAX_ACTIVITY} bytes")]
    Activity,
    #[error("more frames than a session may send")]
    TooFast,
    #[error("the page speaks no protocol of this server")]
    Protocol,
}

impl ProtocolError {
    pub const fn closing(&self) -> Closing {
        match self {
            Self::TooFast => Closing::TooFast,
            Self::Protocol => Closing::Reload,
            Self::Hello | Self::NoHello | Self::Unreadable(_) | Self::Activity => Closing::Malformed,
        }
    }

    pub const fn code(&self) -> u16 {
        match self {
            Self::TooFast => code::TOO_FAST,
            Self::NoHello => code::NO_HELLO,
            Self::Protocol => code::RELOAD,
            Self::Hello | Self::Unreadable(_) | Self::Activity => code::MALFORMED,
        }
    }
}

#[derive(Debug)]
pub struct Session {
    greeted: bool,
    topics: BTreeSet<TopicName>,
    frames: Bucket,
    commands: Bucket,
}

impl Session {
    /// `command_rate`: commands that it may send in a second, on the average. Frames of all sorts are bounded in proportion.
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

    pub const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// `now`: since the session began.
    pub fn hear(&mut self, frame: ClientFrame, now: Duration) -> Result<Act, ProtocolError> {
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

    /// A topic that was denied takes no place.
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
                again: false,
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
        session.hear(hello(), NOW).unwrap();
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
            id: CommandId::from_random(1),
            command: Blob(vec![0; size]),
        }
    }

    #[test]
    fn hello_comes_first_and_once() {
        let mut session = Session::new(RATE);
        assert_eq!(session.hear(subscribe(1), NOW), Err(ProtocolError::Hello));
        let welcome = session.hear(hello(), NOW).unwrap();
        assert_eq!(
            welcome,
            Act::Welcome {
                name: Some(" Kim ".to_owned())
            }
        );
        assert_eq!(session.hear(hello(), NOW), Err(ProtocolError::Hello));
    }

    #[test]
    fn topics_are_bounded_and_a_place_can_be_had_back() {
        let mut session = greeted();
        for number in 0..MAX_SUBSCRIPTIONS {
            assert!(matches!(
                session.hear(subscribe(number), NOW),
                Ok(Act::Subscribe { .. })
            ));
        }
        assert!(
            matches!(session.hear(subscribe(1), NOW), Ok(Act::Subscribe { .. })),
            "again is not another"
        );
        let denied = Act::Say(ServerFrame::Verdict {
            topic: topic(999),
            verdict: Verdict::Denied {
                reason: Denied::TooMany,
            },
        });
        assert_eq!(session.hear(subscribe(999), NOW), Ok(denied));
        session.hear(ClientFrame::Unsubscribe { topic: topic(0) }, NOW).unwrap();
        assert!(matches!(session.hear(subscribe(999), NOW), Ok(Act::Subscribe { .. })));
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
            rejected(session.hear(command(MAX_COMMAND + 1), NOW)),
            Some(Rejection::TooLarge)
        );
        let accepted = (0..BURST + 10)
            .take_while(|_| rejected(session.hear(command(1), NOW)).is_none())
            .count();
        assert_eq!(accepted, BURST as usize);
        let Some(Rejection::TooFast { retry_after_ms }) = rejected(session.hear(command(1), NOW)) else {
            panic!("too fast")
        };
        let later = NOW + Duration::from_millis(retry_after_ms.into());
        assert_eq!(rejected(session.hear(command(1), later)), None);
    }

    #[test]
    fn the_rate_of_commands_is_the_operators() {
        let taken = |rate: u32, at: Duration| {
            let mut session = Session::new(rate);
            session.hear(hello(), NOW).unwrap();
            let passes = |act| matches!(act, Ok(Act::Command { .. }));
            let burst = (0..10_000)
                .take_while(|_| passes(session.hear(command(1), NOW)))
                .count();
            let later = (0..10_000)
                .take_while(|_| passes(session.hear(command(1), NOW + at)))
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
            .take_while(|_| session.hear(ping(), NOW).is_ok())
            .count();
        assert_eq!(heard, FRAME_BURST as usize - 1);
    }
}
