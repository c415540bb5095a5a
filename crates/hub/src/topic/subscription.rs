//! A session among those who read a topic. Knows no session protocol and no transport.

use super::handle::TopicHandle;
use super::stats;
use duplex_protocol::session::SessionId;

/// A session's subscription to a topic: its presence and its wake-ups end when this is dropped.
#[must_use = "the subscription ends when this is dropped"]
pub struct SubscriptionGuard {
    handle: TopicHandle,
    session: SessionId,
    place: usize,
}

impl SubscriptionGuard {
    pub(crate) const fn new(handle: TopicHandle, session: SessionId, place: usize) -> Self {
        Self { handle, session, place }
    }

    /// Changes the name that others see in this topic.
    pub fn rename(&self, name: String) {
        self.handle.rename(&self.session, name);
    }

    /// Sets what the session is doing, such as `typing`, for a few seconds; none ends it.
    pub fn activity(&self, activity: Option<String>) {
        self.handle.activity(&self.session, activity);
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let crowd = &self.handle.board.crowd;
        crowd.remove_wake(self.place);
        crowd.set().leave(&self.session);
        crowd.stir();
        stats::subtract(&self.handle.board.tally.members, 1);
    }
}
