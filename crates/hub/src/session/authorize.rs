//! The way of a command into its topic, for every transport. Knows no transport.

use crate::{Hub, TopicHandle, WriteDenied};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::person::Person;
use duplex_protocol::session::{Answer, Denied, Rejection};
use duplex_protocol::topic::TopicName;

/// The topic, if this person may write this in it; `open`: the handle that the caller has of it.
pub async fn authorize_write(
    hub: &Hub,
    person: &Person,
    name: &TopicName,
    open: Option<TopicHandle>,
    command: (&Blob, Encoding),
) -> Result<TopicHandle, Answer> {
    let rejected = |denied: Denied| Answer::Rejected(Rejection::Denied(denied));
    match hub.admit_to_write(person, name) {
        Err(WriteDenied::Denied(denied)) => Err(rejected(denied)),
        Err(WriteDenied::Role(role)) => Err(Answer::Rejected(Rejection::needs_role(role))),
        Ok(()) => {
            hub.charge(name, command).map_err(Answer::Rejected)?;
            match open {
                Some(topic) => Ok(topic),
                None => hub.open(name).await.map_err(rejected),
            }
        }
    }
}
