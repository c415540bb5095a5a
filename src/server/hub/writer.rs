//! The way of a command into its topic, for every transport. Knows no transport.

use super::decider::Access;
use super::{Hub, TopicHandle};
use crate::wire::codec::{Blob, Encoding};
use crate::wire::person::Person;
use crate::wire::session::{Answer, Denied, Rejection};
use crate::wire::topic::TopicName;

/// The topic, if this person may write this in it; `open`: the handle that the caller has of it.
pub async fn enter_to_write(
    hub: &Hub,
    person: &Person,
    name: &TopicName,
    open: Option<TopicHandle>,
    command: (&Blob, Encoding),
) -> Result<TopicHandle, Answer> {
    let rejected = |denied| Answer::Rejected(Rejection::Denied(denied));
    match hub.admit(person, name).map_err(rejected)? {
        Access::Read => Err(rejected(Denied::Forbidden)),
        Access::Write => {
            hub.charge(name, command).map_err(Answer::Rejected)?;
            match open {
                Some(topic) => Ok(topic),
                None => hub.open(name).await.map_err(rejected),
            }
        }
    }
}
