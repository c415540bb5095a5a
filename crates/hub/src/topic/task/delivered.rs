//! Forwards that another node may have delivered to this topic.

use std::collections::BTreeSet;

use super::Task;
use crate::log::{ForwardKey, LogError};
use crate::topic::request::CommandRequest;
use duplex_protocol::session::Answer;

impl Task {
    /// Answers and removes the forwards that another node delivered so long ago that their ids are forgotten. Their effect removed
    /// them from the log. If another node delivers one after this check, the append of this batch is a conflict.
    pub(super) async fn answer_delivered(&mut self, commands: &mut Vec<CommandRequest>) -> Result<(), LogError> {
        let unknown = self.forgotten_forwards(commands);
        if unknown.is_empty() {
            return Ok(());
        }
        let mut delivered = unknown.clone();
        let sources: BTreeSet<_> = unknown.iter().map(|key| &key.from).collect();
        for from in sources {
            for stored in self.hub.log_of_topic(from).forwards(Some(from)).await? {
                delivered.remove(&stored.key);
            }
        }
        if !delivered.is_empty() {
            let is_delivered =
                |command: &mut CommandRequest| command.forward.as_ref().is_some_and(|key| delivered.contains(key));
            let seq = self.shared.head();
            for command in commands.extract_if(.., is_delivered) {
                self.answer(command, Some((Answer::Accepted { seq }, true)));
            }
        }
        Ok(())
    }

    fn forgotten_forwards(&self, commands: &[CommandRequest]) -> BTreeSet<ForwardKey> {
        let Some(projection) = self.projection.as_ref().filter(|_| self.shared.is_shared) else {
            return BTreeSet::new();
        };
        let key = |command: &CommandRequest| {
            let key = command.forward.clone()?;
            let forgotten = projection.dedupe.may_have_forgotten(&command.sender.id, &command.id);
            forgotten.then_some(key)
        };
        commands.iter().filter_map(key).collect()
    }
}
