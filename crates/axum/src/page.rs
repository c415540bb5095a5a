//! [`PageVisitor`]: an extractor with which a page handler reads topics, and sends the commands of forms that are posted without
//! JavaScript, as the person who requested the page.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use duplex_hub::session::authorize_write;
use duplex_hub::{Hub, TopicCommand};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};
use duplex_protocol::topic::{Topic, TopicName};
use uuid::Uuid;

use crate::error::Problem;
use crate::gateway::Gateway;
use crate::identity::IdentityRequest;
use crate::quota;

/// A person with their rights and quotas, for one request. As an extractor it calls the node's [`Identify`](crate::identity::Identify),
/// in a router whose state has a [`Gateway`].
#[derive(Clone)]
pub struct PageVisitor {
    hub: Hub,
    person: Person,
}

impl PageVisitor {
    /// A visitor. `hub` must already carry the person's rights and quotas.
    #[must_use]
    pub const fn new(hub: Hub, person: Person) -> Self {
        Self { hub, person }
    }

    /// The person who requested the page.
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.person
    }

    /// The topic's state as JSON, and its cursor.
    ///
    /// # Errors
    ///
    /// If the visitor may not read the topic, or the topic is unavailable.
    pub async fn state(&self, topic: &TopicName) -> Result<(Cursor, String), Denial> {
        self.hub.admit(&self.person, topic)?;
        let (cursor, state) = self.hub.preview(topic, Encoding::Json).await?;
        let state = String::from_utf8(state.0).map_err(|_| Denial::Unavailable)?;
        Ok((cursor, state))
    }

    /// Sends a command to the topic `<T::KIND>/<rest>`, and returns the seq of its last event.
    ///
    /// # Errors
    ///
    /// If the command is rejected.
    pub async fn send<T: Topic>(&self, rest: &str, command: &T::Command) -> Result<Seq, Rejection> {
        let command = TopicCommand::to::<T>(rest, command).map_err(|error| Rejection::Malformed {
            detail: error.to_string(),
        })?;
        self.send_command(command).await
    }

    /// Like [`send`](Self::send), for a command that is already built.
    ///
    /// # Errors
    ///
    /// If the command is rejected.
    pub async fn send_command(&self, command: TopicCommand) -> Result<Seq, Rejection> {
        let (topic, command) = command.into_parts();
        let authorized = authorize_write(&self.hub, &self.person, &topic, None, (&command, Encoding::Json)).await;
        let answer = match authorized {
            Err(answer) => answer,
            Ok(topic) => {
                let id = CommandId::from_bits(Uuid::new_v4().as_u128());
                topic.command(self.person.clone(), id, command, Encoding::Json).await.0
            }
        };
        match answer {
            Answer::Accepted { seq } => Ok(seq),
            Answer::Rejected(rejection) => Err(rejection),
        }
    }
}

impl<S> FromRequestParts<S> for PageVisitor
where
    S: Send + Sync,
    Gateway: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let gateway = Gateway::from_ref(state);
        let request = IdentityRequest::new(&parts.headers, &parts.extensions).as_visitor();
        let caller = gateway.identify(request).await?;
        let client = quota::client(&parts.extensions).with_person(&caller.person);
        let hub = gateway.hub_for_client(&caller.hub(&gateway.hub), client);
        Ok(Self::new(hub, caller.person))
    }
}
