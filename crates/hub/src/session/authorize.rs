//! Authorization of commands, the same for every transport.

use crate::{Hub, TopicHandle, WriteDenial};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Answer, Denial, Rejection};
use duplex_protocol::topic::TopicName;

/// Authorizes a command: checks that the person may write to the topic and that the client is within its quotas. Returns the
/// topic's handle: `handle` if given, else the topic is opened and thereby started.
///
/// # Errors
///
/// The answer to the command: [`Rejection::Denied`], [`Rejection::Custom`] if a role is missing, or [`Rejection::TooFast`].
pub async fn authorize_write(
    hub: &Hub,
    person: &Person,
    name: &TopicName,
    handle: Option<TopicHandle>,
    command: (&EncodedValue, Encoding),
) -> Result<TopicHandle, Answer> {
    let rejected = |denial: Denial| Answer::Rejected(Rejection::Denied(denial));
    match hub.authorize_write(person, name) {
        Err(WriteDenial::Denied(denial)) => Err(rejected(denial)),
        Err(WriteDenial::Role(role)) => Err(Answer::Rejected(Rejection::missing_role(role))),
        Ok(()) => {
            hub.charge(name, command).map_err(Answer::Rejected)?;
            match handle {
                Some(handle) => Ok(handle),
                None => hub.open(name).await.map_err(rejected),
            }
        }
    }
}
