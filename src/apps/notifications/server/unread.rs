//! The unread endpoint: sends an unread hint to a page that has not loaded the app yet, as soon as its visitor has an unread
//! notice. Pure.

use super::super::model::{InboxState, NoticeList, receives};
use super::super::wire::{GROUPS, Inbox, Millis, Notices, OWN_INBOX, UNREAD_EVENTS_PATH};
use crate::server::unread::UnreadEndpoint;
use crate::wire::first_visit::FirstVisit;
use crate::wire::notice::EVERYONE;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::person::Person;
use duplex_protocol::topic::TopicName;

pub fn unread_endpoint() -> UnreadEndpoint {
    UnreadEndpoint {
        path: UNREAD_EVENTS_PATH,
        topics,
        has_unread,
    }
}

fn public_sources() -> impl Iterator<Item = &'static str> {
    [EVERYONE].into_iter().chain(GROUPS)
}

fn topics(who: &Person) -> Vec<TopicName> {
    let inbox = TopicName::of::<Inbox>(&who.id.0);
    let public = public_sources().map(TopicName::of::<Notices>);
    [inbox].into_iter().chain(public).filter_map(Result::ok).collect()
}

fn has_unread(states: &[Option<EncodedValue>], first_visit: FirstVisit, now: Millis) -> bool {
    let mut states = states.iter();
    let inbox: InboxState = decode(states.next());
    let is_unread = |(source, state)| {
        let list: NoticeList = decode(Some(state));
        receives(&inbox.follows, source) && inbox.unread_count(source, &list, first_visit, now) > 0
    };
    inbox.unread_count(OWN_INBOX, &inbox.list, first_visit, now) > 0 || public_sources().zip(states).any(is_unread)
}

fn decode<T: serde::de::DeserializeOwned + Default>(state: Option<&Option<EncodedValue>>) -> T {
    let value = state.and_then(Option::as_ref);
    value
        .and_then(|value| value.decode(Encoding::Json).ok())
        .unwrap_or_default()
}
