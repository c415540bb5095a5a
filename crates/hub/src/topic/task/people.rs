//! Sends the presence of a topic on this node to the other nodes.

use tokio::time::Instant;

use super::Task;
use crate::bus::Message;
use crate::clock;
use crate::topic::shared_presence::{NodePeople, PresenceUpdate};

impl Task {
    /// Requests the presence on the other nodes, because the topic was started here.
    pub(super) fn ask_presence(&self) {
        if self.shared.subscribers.shared_presence().is_some()
            && let Some(cluster) = self.hub.cluster()
        {
            cluster.send_lossy([Message::AskPresence(self.shared.name.clone())]);
        }
    }

    /// Sends what changed, and regularly everything. Returns when to call it next, unless the presence changes before.
    pub(super) fn share_presence(&self, now: Instant) -> Option<Instant> {
        let set = self.shared.subscribers.presence();
        let mut shared = self.shared.subscribers.shared_presence()?;
        let updates = shared.updates(set.version(), || set.node_people(), (now, clock::now()));
        let next = shared.next_update(set.version());
        drop((set, shared));
        self.send_presence(updates);
        next
    }

    /// Sends that the topic has no presence on this node any more, because it ends.
    pub(super) fn end_presence(&self) {
        let Some(mut shared) = self.shared.subscribers.shared_presence() else {
            return;
        };
        let now = Instant::now();
        shared.request_round(now);
        let updates = shared.updates(u64::MAX, NodePeople::default, (now, clock::now()));
        drop(shared);
        self.send_presence(updates);
    }

    fn send_presence(&self, updates: Vec<PresenceUpdate>) {
        if let Some(cluster) = self.hub.cluster() {
            let name = &self.shared.name;
            cluster.send_lossy(
                updates
                    .into_iter()
                    .map(|update| Message::Presence(name.clone(), update)),
            );
        }
    }
}
