//! Kinds of topics without their types: the hub holds deciders and states of all applications in one list.
//! Knows no task and no log. What an application's code does wrong ends here: a panic of it is an error of ours.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::decider::{
    Access, Context, Decider, Forward, Kept, Makes, Origin, Principal, Redaction, ServerCommand as _,
};
use crate::log::Retention;
use crate::rights::Needed;
use crate::{json, topic::stored};
use duplex_protocol::codec::{Blob, CodecError, Encoding};
use duplex_protocol::cursor::{Check, Seq};
use duplex_protocol::protocol::{Protocol, Version};
use duplex_protocol::session::{Denied, Rejection, ServerFrame};
use duplex_protocol::topic::{Delivery, TopicName};

/// A decider whose types nobody sees.
pub trait Kind: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn delivery(&self) -> Delivery;
    /// Readers are told who else is there.
    fn has_presence(&self) -> bool;
    fn retention(&self) -> Retention;
    fn is_fleeting(&self) -> bool;
    fn is_for_operators(&self) -> bool;
    fn is_private(&self) -> bool;
    fn program_role<'a>(&self, topic: &'a TopicName) -> Needed<'a>;
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied>;
    /// The topic is there before its first event.
    fn stands(&self, topic: &TopicName) -> bool;
    /// Where the topics of this kind are listed.
    fn listed_in(&self) -> Option<TopicName>;
    /// What this command makes that stays.
    fn makes(&self, command: &Blob, encoding: Encoding) -> Option<Makes>;
    /// Parts of accepted commands that did not count, since the start.
    fn refused_parts(&self) -> u64;
    /// The state that a snapshot says, or the one before the first event.
    fn fold(&self, snapshot: Option<&[u8]>) -> Result<Box<dyn Fold>, FoldError>;
    /// An event as the log keeps it.
    fn event(&self, json: &[u8]) -> Result<Box<dyn Event>, FoldError>;
    /// The JSON of an event as readers know it, of what the log keeps.
    fn current(&self, json: Vec<u8>) -> Result<Vec<u8>, FoldError>;
    /// What is left of an event whose text goes, and what the log keeps of it.
    fn redacted(&self, json: &[u8]) -> Result<(Box<dyn Event>, Vec<u8>), FoldError>;
}

/// The state of one topic.
pub trait Fold: Send {
    /// Decides, and applies what was decided. A rejection leaves the state as it was.
    fn decide(&mut self, at: Context<'_>, command: &Blob, encoding: Encoding) -> Result<Vec<Made>, Undecided>;
    /// Applies an event of the log.
    fn apply(&mut self, seq: Seq, json: &[u8]) -> Result<Box<dyn Event>, FoldError>;
    fn state(&self, encoding: Encoding) -> Result<Blob, FoldError>;
    /// The state as the log keeps it.
    fn snapshot(&self) -> Result<Vec<u8>, FoldError>;
    /// Whether the state lists this other topic.
    fn lists(&self, topic: &TopicName) -> bool;
}

pub trait Event: Send + Sync {
    fn encode(&self, encoding: Encoding) -> Result<Blob, CodecError>;
    fn key(&self) -> Option<String>;
}

/// One event that a command made.
pub struct Made {
    pub event: Box<dyn Event>,
    pub amends: Option<Seq>,
    /// What the log keeps.
    pub json: Vec<u8>,
    /// What others should hear once it is kept.
    pub forwards: Vec<Forward>,
    /// What goes when it is kept.
    pub redaction: Redaction,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error("cannot be read or written: {0}")]
    Codec(#[from] CodecError),
    #[error("the application panicked")]
    Panicked,
    #[error("its version cannot be read")]
    NoVersion,
    #[error("it is of version {found}, and this program knows versions up to {known}")]
    Version { found: u32, known: u32 },
}

#[derive(Debug)]
pub enum Undecided {
    Rejected(Rejection),
    /// The state is not to be trusted any more.
    Broken(FoldError),
}

/// An application's decider as the hub takes it.
pub fn kind<D: Decider>(decider: D) -> Box<dyn Kind> {
    Box::new(Of(Arc::new(decider), Arc::default()))
}

/// With its count of refused parts.
struct Of<D>(Arc<D>, Arc<AtomicU64>);

impl<D: Decider> Kind for Of<D> {
    fn name(&self) -> &'static str {
        D::KIND
    }

    fn delivery(&self) -> Delivery {
        D::DELIVERY
    }

    fn has_presence(&self) -> bool {
        D::PRESENCE
    }

    fn retention(&self) -> Retention {
        self.0.retention()
    }

    fn is_fleeting(&self) -> bool {
        D::FLEETING
    }

    fn is_for_operators(&self) -> bool {
        D::FOR_OPERATORS
    }

    fn is_private(&self) -> bool {
        D::PRIVATE
    }

    fn program_role<'a>(&self, topic: &'a TopicName) -> Needed<'a> {
        self.0.program_role(topic)
    }

    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        self.0.admit(who, topic)
    }

    fn stands(&self, topic: &TopicName) -> bool {
        self.0.stands(topic)
    }

    fn listed_in(&self) -> Option<TopicName> {
        self.0.listed_in()
    }

    fn makes(&self, command: &Blob, encoding: Encoding) -> Option<Makes> {
        if !D::MAKES {
            return None;
        }
        D::makes(&command.decode(encoding).ok()?)
    }

    fn refused_parts(&self) -> u64 {
        self.1.load(Relaxed)
    }

    fn fold(&self, snapshot: Option<&[u8]>) -> Result<Box<dyn Fold>, FoldError> {
        let state = match snapshot {
            None => D::State::default(),
            Some(json) => Encoding::Json.decode(&stored::read::<D>(Kept::State, json)?)?,
        };
        Ok(Box::new(Folded {
            decider: Arc::clone(&self.0),
            refused_parts: Arc::clone(&self.1),
            state,
        }))
    }

    fn event(&self, json: &[u8]) -> Result<Box<dyn Event>, FoldError> {
        Ok(Box::new(EventOf::<D>(read_event::<D>(json)?)))
    }

    fn current(&self, json: Vec<u8>) -> Result<Vec<u8>, FoldError> {
        match stored::read::<D>(Kept::Event, &json)? {
            Cow::Borrowed(same) if same.len() == json.len() => Ok(json),
            current => Ok(current.into_owned()),
        }
    }

    fn redacted(&self, json: &[u8]) -> Result<(Box<dyn Event>, Vec<u8>), FoldError> {
        let event = read_event::<D>(json)?;
        let event = catch_unwind(AssertUnwindSafe(|| self.0.redacted(event))).map_err(|_| FoldError::Panicked)?;
        let json = write_event::<D>(&event)?;
        Ok((Box::new(EventOf::<D>(event)), json))
    }
}

fn read_event<D: Decider>(json: &[u8]) -> Result<D::Event, FoldError> {
    Ok(Encoding::Json.decode(&stored::read::<D>(Kept::Event, json)?)?)
}

fn write_event<D: Decider>(event: &D::Event) -> Result<Vec<u8>, CodecError> {
    Encoding::Json.encode(event).map(stored::write::<D>)
}

/// A command, by who may give it.
enum Given<D: Decider> {
    Visitor(D::Command),
    Server(D::ServerCommand),
}

impl<D: Decider> Given<D> {
    /// Who sends it decides which types it is decoded as.
    fn decode(origin: Origin, command: &Blob, encoding: Encoding) -> Result<Self, CodecError> {
        let visitor = || command.decode(encoding).map(Self::Visitor);
        let server = || command.decode(encoding).map(Self::Server);
        match origin {
            Origin::Server => server().or_else(|error| visitor().map_err(|_| error)),
            Origin::Program if D::ServerCommand::FOR_PROGRAMS => server(),
            Origin::Visitor | Origin::Program => visitor(),
        }
    }
}

struct Folded<D: Decider> {
    decider: Arc<D>,
    refused_parts: Arc<AtomicU64>,
    state: D::State,
}

impl<D: Decider> Folded<D> {
    fn take(&mut self, at: Context<'_>, seq: Seq, event: D::Event, json: Vec<u8>) -> Made {
        D::apply(&mut self.state, seq, &event);
        self.refused_parts.fetch_add(D::refused_parts(&event), Relaxed);
        Made {
            amends: D::amends(&event),
            forwards: self.decider.forward(at.topic, &self.state, seq, &event),
            redaction: self.decider.redacts(&self.state, &event),
            event: Box::new(EventOf::<D>(event)),
            json,
        }
    }

    fn decided(&mut self, at: Context<'_>, command: Given<D>) -> Result<Vec<Made>, Undecided> {
        let events = match command {
            Given::Visitor(command) => self.decider.decide(at, &self.state, command),
            Given::Server(command) => command.decide(&self.decider, at, &self.state),
        };
        let events = events.map_err(Undecided::Rejected)?;
        let written: Result<Vec<_>, _> = events.iter().map(write_event::<D>).collect();
        let written = written.map_err(|error| Undecided::Broken(error.into()))?;
        let made = (at.next..).zip(events.into_iter().zip(written));
        Ok(made
            .map(|(seq, (event, json))| self.take(at, seq, event, json))
            .collect())
    }
}

impl<D: Decider> Fold for Folded<D> {
    fn decide(&mut self, at: Context<'_>, command: &Blob, encoding: Encoding) -> Result<Vec<Made>, Undecided> {
        let malformed = |what: String| Undecided::Rejected(Rejection::Malformed { what });
        if encoding == Encoding::Json {
            json::check(&command.0).map_err(|error| malformed(error.to_string()))?;
        }
        let command = Given::decode(at.origin, command, encoding).map_err(|error| malformed(error.to_string()))?;
        catch_unwind(AssertUnwindSafe(|| self.decided(at, command)))
            .unwrap_or(Err(Undecided::Broken(FoldError::Panicked)))
    }

    fn apply(&mut self, seq: Seq, json: &[u8]) -> Result<Box<dyn Event>, FoldError> {
        let event = read_event::<D>(json)?;
        catch_unwind(AssertUnwindSafe(|| D::apply(&mut self.state, seq, &event))).map_err(|_| FoldError::Panicked)?;
        Ok(Box::new(EventOf::<D>(event)))
    }

    fn state(&self, encoding: Encoding) -> Result<Blob, FoldError> {
        Ok(Blob::encode(encoding, &self.state)?)
    }

    fn snapshot(&self) -> Result<Vec<u8>, FoldError> {
        Ok(stored::write::<D>(Encoding::Json.encode(&self.state)?))
    }

    fn lists(&self, topic: &TopicName) -> bool {
        D::lists(&self.state, topic)
    }
}

struct EventOf<D: Decider>(D::Event);

impl<D: Decider> Event for EventOf<D> {
    fn encode(&self, encoding: Encoding) -> Result<Blob, CodecError> {
        Blob::encode(encoding, &self.0)
    }

    fn key(&self) -> Option<String> {
        D::key(&self.0)
    }
}

/// An event as it is sent: encoded when a reader first wants it so, then shared by all.
pub struct EventFrame {
    seq: Seq,
    check: Option<Check>,
    event: Box<dyn Event>,
    encoded: Encoded,
    /// For readers of the protocol's version 1: few, and then none. Takes no room before the first of them comes.
    encoded_v1: OnceLock<Box<Encoded>>,
}

type Encoded = PerEncoding<OnceLock<Option<Bytes>>>;

impl EventFrame {
    pub fn new(seq: Seq, check: Option<Check>, event: Box<dyn Event>) -> Self {
        Self {
            seq,
            check,
            event,
            encoded: PerEncoding::default(),
            encoded_v1: OnceLock::new(),
        }
    }

    pub fn key(&self) -> Option<String> {
        self.event.key()
    }

    pub const fn check(&self) -> Option<Check> {
        self.check
    }

    /// None if the application's event cannot be written so.
    pub fn bytes(&self, topic: &TopicName, protocol: Protocol) -> Option<Bytes> {
        let encoded = match protocol.version {
            Version::V1 => self.encoded_v1.get_or_init(Box::default),
            Version::V2 => &self.encoded,
        };
        let encode = || {
            let frame = event_frame(topic, (self.seq, self.check), self.event.as_ref(), protocol);
            frame
                .inspect_err(
                    |error| tracing::error!(%topic, seq = self.seq, ?protocol, "an event has no frame: {error}"),
                )
                .ok()
        };
        encoded.get(protocol.encoding).get_or_init(encode).clone()
    }
}

/// A complete [`ServerFrame::Event`].
pub fn event_frame(
    topic: &TopicName,
    (seq, check): (Seq, Option<Check>),
    event: &dyn Event,
    protocol: Protocol,
) -> Result<Bytes, CodecError> {
    let frame = ServerFrame::Event {
        topic: topic.clone(),
        seq,
        check,
        event: event.encode(protocol.encoding)?,
    };
    protocol.encode(&frame).map(Bytes::from)
}

/// One of something for each encoding.
#[derive(Debug, Default)]
pub struct PerEncoding<T> {
    json: T,
    postcard: T,
}

impl<T> PerEncoding<T> {
    pub const fn get(&self, encoding: Encoding) -> &T {
        match encoding {
            Encoding::Json => &self.json,
            Encoding::Postcard => &self.postcard,
        }
    }

    pub const fn get_mut(&mut self, encoding: Encoding) -> &mut T {
        match encoding {
            Encoding::Json => &mut self.json,
            Encoding::Postcard => &mut self.postcard,
        }
    }
}
