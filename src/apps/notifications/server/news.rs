//! Whether a visitor has unread notifications: what wakes the bell of a page that has loaded nothing more of it. Pure.

use super::super::model::{Board, InboxState, reaches};
use super::super::wire::{GROUPS, Inbox, ME, Millis, NEWS, Notices};
use crate::server::unread::UnreadEndpoint;
use crate::wire::first_visit::FirstVisit;
use crate::wire::notice::EVERYONE;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::person::Person;
use duplex_protocol::topic::TopicName;

pub fn news() -> UnreadEndpoint {
    UnreadEndpoint {
        path: NEWS,
        topics,
        has_unread,
    }
}

fn sources() -> impl Iterator<Item = &'static str> {
    [EVERYONE].into_iter().chain(GROUPS)
}

fn topics(who: &Person) -> Vec<TopicName> {
    let inbox = TopicName::of::<Inbox>(&who.id.0);
    let public = sources().map(TopicName::of::<Notices>);
    [inbox].into_iter().chain(public).filter_map(Result::ok).collect()
}

fn has_unread(states: &[Option<Blob>], arrival: FirstVisit, now: Millis) -> bool {
    let mut states = states.iter();
    let inbox: InboxState = read(states.next());
    let waits = |(source, state)| {
        let board: Board = read(Some(state));
        reaches(&inbox.follows, source) && inbox.unread(source, &board, arrival, now) > 0
    };
    inbox.unread(ME, &inbox.board, arrival, now) > 0 || sources().zip(states).any(waits)
}

fn read<T: serde::de::DeserializeOwned + Default>(state: Option<&Option<Blob>>) -> T {
    let blob = state.and_then(Option::as_ref);
    blob.and_then(|blob| blob.decode(Encoding::Json).ok())
        .unwrap_or_default()
}
