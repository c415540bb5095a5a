//! Type-erased deciders, so that the hub can store deciders of different types. A panic in an application's code is caught here and
//! becomes an error.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use super::state_error::{DecideError, StateError};
use crate::decider::{
    Access, Context, Creation, Decider, Forward, Principal, Redaction, SenderKind, ServerCommand as _, StoredJson,
};
use crate::log::Retention;
use crate::rights::RequiredRole;
use crate::{json, topic::stored};
use duplex_protocol::codec::{CodecError, EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::{Delivery, TopicName};

/// A [`Decider`] without its types, created by [`dyn_topic()`]. The hub calls its methods; an application implements [`Decider`]
/// instead.
pub trait DynTopic: Send + Sync + 'static {
    /// [`Topic::KIND`](duplex_protocol::topic::Topic::KIND).
    fn name(&self) -> &'static str;
    /// [`Topic::DELIVERY`](duplex_protocol::topic::Topic::DELIVERY).
    fn delivery(&self) -> Delivery;
    /// [`Topic::PRESENCE`](duplex_protocol::topic::Topic::PRESENCE).
    fn has_presence(&self) -> bool;
    /// [`Decider::retention`].
    fn retention(&self) -> Retention;
    /// [`Decider::EPHEMERAL`].
    fn is_ephemeral(&self) -> bool;
    /// [`Decider::OPERATORS_ONLY`].
    fn is_for_operators(&self) -> bool;
    /// [`Decider::PRIVATE`].
    fn is_private(&self) -> bool;
    /// [`Decider::program_role`].
    fn program_role<'a>(&self, topic: &'a TopicName) -> RequiredRole<'a>;
    /// [`Decider::admit`].
    ///
    /// # Errors
    ///
    /// The decider's denial.
    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial>;
    /// [`Decider::starts_on_read`].
    fn starts_on_read(&self, topic: &TopicName) -> bool;
    /// [`Decider::listed_in`].
    fn listed_in(&self) -> Option<TopicName>;
    /// [`Decider::creates`]; `None` for a command that does not decode.
    fn creates(&self, command: &EncodedValue, encoding: Encoding) -> Option<Creation>;
    /// The sum of [`Decider::rejected_parts`] over all events since the process started.
    fn rejected_parts(&self) -> u64;
    /// Decodes the state of a snapshot; without one, returns the state before the first event.
    ///
    /// # Errors
    ///
    /// If the snapshot does not decode, or is of a version that the decider does not know.
    fn load_state(&self, snapshot: Option<&[u8]>) -> Result<Box<dyn DynState>, StateError>;
    /// Decodes an event as the log stores it.
    ///
    /// # Errors
    ///
    /// If it does not decode, or is of a version that the decider does not know.
    fn event(&self, json: &[u8]) -> Result<Box<dyn DynEvent>, StateError>;
    /// The JSON of an event for readers, from the stored JSON.
    ///
    /// # Errors
    ///
    /// See [`Self::event`].
    fn event_json(&self, json: Vec<u8>) -> Result<Vec<u8>, StateError>;
    /// [`Decider::redacted`]: the redacted event, and its stored JSON.
    ///
    /// # Errors
    ///
    /// See [`Self::event`], and [`StateError::Panicked`].
    fn redacted(&self, json: &[u8]) -> Result<(Box<dyn DynEvent>, Vec<u8>), StateError>;
}

/// The state of one topic, without its type.
pub trait DynState: Send {
    /// Decides a command and applies its events.
    ///
    /// # Errors
    ///
    /// [`DecideError::Rejected`] leaves the state as it was; after [`DecideError::Broken`] the state must be rebuilt from the log.
    fn decide(
        &mut self,
        context: Context<'_>,
        command: &EncodedValue,
        encoding: Encoding,
    ) -> Result<Vec<DecidedEvent>, DecideError>;
    /// Applies an event from the log.
    ///
    /// # Errors
    ///
    /// If the event does not decode, or `apply` panicked.
    fn apply(&mut self, seq: Seq, json: &[u8]) -> Result<Box<dyn DynEvent>, StateError>;
    /// Like [`Self::apply`], for an event of another node: also returns whether the event redacts earlier ones.
    ///
    /// # Errors
    ///
    /// See [`Self::apply`].
    fn follow(&mut self, seq: Seq, json: &[u8]) -> Result<(Box<dyn DynEvent>, bool), StateError>;
    /// A copy of the state.
    fn copy(&self) -> Box<dyn DynState>;
    /// The state for readers.
    ///
    /// # Errors
    ///
    /// If the state does not encode.
    fn state(&self, encoding: Encoding) -> Result<EncodedValue, StateError>;
    /// The state as the log stores it.
    ///
    /// # Errors
    ///
    /// If the state does not encode.
    fn snapshot(&self) -> Result<Vec<u8>, StateError>;
    /// [`Decider::lists`].
    fn lists(&self, topic: &TopicName) -> bool;
}

/// An event without its type.
pub trait DynEvent: Send + Sync {
    /// The event for readers.
    ///
    /// # Errors
    ///
    /// If the event does not encode.
    fn encode(&self, encoding: Encoding) -> Result<EncodedValue, CodecError>;
    /// [`Topic::key`](duplex_protocol::topic::Topic::key).
    fn key(&self) -> Option<String>;
}

/// A decided event with its forwards and redaction.
pub struct DecidedEvent {
    /// The event.
    pub event: Box<dyn DynEvent>,
    /// [`Topic::amends`](duplex_protocol::topic::Topic::amends).
    pub amends: Option<Seq>,
    /// The JSON that the log stores.
    pub json: Vec<u8>,
    /// [`Decider::forward`].
    pub forwards: Vec<Forward>,
    /// [`Decider::redacts`].
    pub redaction: Redaction,
}

/// Wraps an application's decider for [`Hub::new`](crate::Hub::new).
pub fn dyn_topic<D: Decider>(decider: D) -> Box<dyn DynTopic> {
    Box::new(TypedTopic {
        decider: Arc::new(decider),
        rejected_parts: Arc::default(),
    })
}

/// A decider with its count of rejected parts.
struct TypedTopic<D> {
    decider: Arc<D>,
    rejected_parts: Arc<AtomicU64>,
}

impl<D: Decider> DynTopic for TypedTopic<D> {
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
        self.decider.retention()
    }

    fn is_ephemeral(&self) -> bool {
        D::EPHEMERAL
    }

    fn is_for_operators(&self) -> bool {
        D::OPERATORS_ONLY
    }

    fn is_private(&self) -> bool {
        D::PRIVATE
    }

    fn program_role<'a>(&self, topic: &'a TopicName) -> RequiredRole<'a> {
        self.decider.program_role(topic)
    }

    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        self.decider.admit(who, topic)
    }

    fn starts_on_read(&self, topic: &TopicName) -> bool {
        self.decider.starts_on_read(topic)
    }

    fn listed_in(&self) -> Option<TopicName> {
        self.decider.listed_in()
    }

    fn creates(&self, command: &EncodedValue, encoding: Encoding) -> Option<Creation> {
        if !D::CREATES {
            return None;
        }
        D::creates(&command.decode(encoding).ok()?)
    }

    fn rejected_parts(&self) -> u64 {
        self.rejected_parts.load(Relaxed)
    }

    fn load_state(&self, snapshot: Option<&[u8]>) -> Result<Box<dyn DynState>, StateError> {
        let state = match snapshot {
            None => D::State::default(),
            Some(json) => Encoding::Json.decode(&stored::read::<D>(StoredJson::State, json)?)?,
        };
        Ok(Box::new(TypedState {
            decider: Arc::clone(&self.decider),
            rejected_parts: Arc::clone(&self.rejected_parts),
            state,
        }))
    }

    fn event(&self, json: &[u8]) -> Result<Box<dyn DynEvent>, StateError> {
        Ok(Box::new(TypedEvent::<D>(read_event::<D>(json)?)))
    }

    fn event_json(&self, json: Vec<u8>) -> Result<Vec<u8>, StateError> {
        match stored::read::<D>(StoredJson::Event, &json)? {
            Cow::Borrowed(same) if same.len() == json.len() => Ok(json),
            current => Ok(current.into_owned()),
        }
    }

    fn redacted(&self, json: &[u8]) -> Result<(Box<dyn DynEvent>, Vec<u8>), StateError> {
        let event = read_event::<D>(json)?;
        let event =
            catch_unwind(AssertUnwindSafe(|| self.decider.redacted(event))).map_err(|_| StateError::Panicked)?;
        let json = write_event::<D>(&event)?;
        Ok((Box::new(TypedEvent::<D>(event)), json))
    }
}

fn read_event<D: Decider>(json: &[u8]) -> Result<D::Event, StateError> {
    Ok(Encoding::Json.decode(&stored::read::<D>(StoredJson::Event, json)?)?)
}

fn write_event<D: Decider>(event: &D::Event) -> Result<Vec<u8>, CodecError> {
    Encoding::Json.encode(event).map(stored::write::<D>)
}

/// A command, decoded for its kind of sender.
enum DecodedCommand<D: Decider> {
    Visitor(D::Command),
    Server(D::ServerCommand),
}

impl<D: Decider> DecodedCommand<D> {
    /// Decodes the command as the type that this kind of sender may send.
    fn decode(sender_kind: SenderKind, command: &EncodedValue, encoding: Encoding) -> Result<Self, CodecError> {
        let visitor = || command.decode(encoding).map(Self::Visitor);
        let server = || command.decode(encoding).map(Self::Server);
        match sender_kind {
            SenderKind::Server => server().or_else(|error| visitor().map_err(|_| error)),
            SenderKind::Program if D::ServerCommand::ACCEPTED_FROM_PROGRAMS => server(),
            SenderKind::Visitor | SenderKind::Program => visitor(),
        }
    }
}

struct TypedState<D: Decider> {
    decider: Arc<D>,
    rejected_parts: Arc<AtomicU64>,
    state: D::State,
}

impl<D: Decider> TypedState<D> {
    fn apply_decided(&mut self, context: Context<'_>, seq: Seq, event: D::Event, json: Vec<u8>) -> DecidedEvent {
        D::apply(&mut self.state, seq, &event);
        self.rejected_parts.fetch_add(D::rejected_parts(&event), Relaxed);
        DecidedEvent {
            amends: D::amends(&event),
            forwards: self.decider.forward(context.topic, &self.state, seq, &event),
            redaction: self.decider.redacts(&self.state, &event),
            event: Box::new(TypedEvent::<D>(event)),
            json,
        }
    }

    fn decide_typed(
        &mut self,
        context: Context<'_>,
        command: DecodedCommand<D>,
    ) -> Result<Vec<DecidedEvent>, DecideError> {
        let events = match command {
            DecodedCommand::Visitor(command) => self.decider.decide(context, &self.state, command),
            DecodedCommand::Server(command) => command.decide(&self.decider, context, &self.state),
        };
        let events = events.map_err(DecideError::Rejected)?;
        let written: Result<Vec<_>, _> = events.iter().map(write_event::<D>).collect();
        let written = written.map_err(|error| DecideError::Broken(error.into()))?;
        let numbered = (context.next_seq..).zip(events.into_iter().zip(written));
        Ok(numbered
            .map(|(seq, (event, json))| self.apply_decided(context, seq, event, json))
            .collect())
    }
}

impl<D: Decider> DynState for TypedState<D> {
    fn decide(
        &mut self,
        context: Context<'_>,
        command: &EncodedValue,
        encoding: Encoding,
    ) -> Result<Vec<DecidedEvent>, DecideError> {
        let malformed = |detail: String| DecideError::Rejected(Rejection::Malformed { detail });
        if encoding == Encoding::Json {
            json::validate(&command.0).map_err(|error| malformed(error.to_string()))?;
        }
        let command = DecodedCommand::decode(context.sender_kind, command, encoding)
            .map_err(|error| malformed(error.to_string()))?;
        catch_unwind(AssertUnwindSafe(|| self.decide_typed(context, command)))
            .unwrap_or(Err(DecideError::Broken(StateError::Panicked)))
    }

    fn apply(&mut self, seq: Seq, json: &[u8]) -> Result<Box<dyn DynEvent>, StateError> {
        let event = read_event::<D>(json)?;
        catch_unwind(AssertUnwindSafe(|| D::apply(&mut self.state, seq, &event))).map_err(|_| StateError::Panicked)?;
        Ok(Box::new(TypedEvent::<D>(event)))
    }

    fn follow(&mut self, seq: Seq, json: &[u8]) -> Result<(Box<dyn DynEvent>, bool), StateError> {
        let event = read_event::<D>(json)?;
        let redaction = catch_unwind(AssertUnwindSafe(|| {
            D::apply(&mut self.state, seq, &event);
            self.decider.redacts(&self.state, &event)
        }));
        let redacts = redaction.map_err(|_| StateError::Panicked)? != Redaction::Nothing;
        Ok((Box::new(TypedEvent::<D>(event)), redacts))
    }

    fn copy(&self) -> Box<dyn DynState> {
        Box::new(Self {
            decider: Arc::clone(&self.decider),
            rejected_parts: Arc::clone(&self.rejected_parts),
            state: self.state.clone(),
        })
    }

    fn state(&self, encoding: Encoding) -> Result<EncodedValue, StateError> {
        Ok(EncodedValue::encode(encoding, &self.state)?)
    }

    fn snapshot(&self) -> Result<Vec<u8>, StateError> {
        Ok(stored::write::<D>(Encoding::Json.encode(&self.state)?))
    }

    fn lists(&self, topic: &TopicName) -> bool {
        D::lists(&self.state, topic)
    }
}

struct TypedEvent<D: Decider>(D::Event);

impl<D: Decider> DynEvent for TypedEvent<D> {
    fn encode(&self, encoding: Encoding) -> Result<EncodedValue, CodecError> {
        EncodedValue::encode(encoding, &self.0)
    }

    fn key(&self) -> Option<String> {
        D::key(&self.0)
    }
}
