//! Independently checks that each topic's events are delivered to the page without gap or duplicate. Shares no code with
//! `session::subscription`, which guarantees it.

use serde::Serialize;

use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::session::ResetReason;
use duplex_protocol::topic::{Delivery, TopicName};

/// Maximum anomalies that are kept; all are counted.
const MAX_ANOMALIES: usize = 32;

/// An error in the delivery of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnomalyKind {
    /// An event before it is missing.
    Gap,
    /// This event or a later one was already delivered.
    Duplicate,
}

/// An event or a state at which the audit detected an anomaly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Anomaly {
    /// The topic's name.
    pub topic: TopicName,
    /// The kind of anomaly. Serialized as `wrong`.
    #[serde(rename = "wrong")]
    pub kind: AnomalyKind,
    /// The newest seq delivered before; `None` without a state.
    pub after: Option<Seq>,
    /// The seq of the event or the state.
    pub seq: Seq,
}

/// Counts of deliveries since the page was loaded, across all topics and connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryCounts {
    /// Events.
    pub events: u64,
    /// States.
    pub states: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Duplicates found.
    pub duplicates: u64,
}

impl DeliveryCounts {
    /// Whether no gap and no duplicate was found.
    #[must_use]
    pub const fn is_clean(self) -> bool {
        self.gaps == 0 && self.duplicates == 0
    }
}

/// Checks the events of each topic.
#[derive(Debug, Default)]
pub struct DeliveryAudit {
    /// A list, because a session has at most 64 topics.
    topics: Vec<(TopicName, TopicAudit)>,
    counts: DeliveryCounts,
    anomalies: Vec<Anomaly>,
}

#[derive(Debug, Clone, Copy)]
struct TopicAudit {
    delivery: Delivery,
    /// The number of components that use the topic.
    users: usize,
    delivered: Option<(Epoch, Seq)>,
}

impl DeliveryAudit {
    /// A component starts to use the topic, with the state at `cursor` or with none.
    pub(crate) fn on_subscribe(&mut self, topic: TopicName, delivery: Delivery, cursor: Option<Cursor>) {
        if let Some(progress) = self.progress(&topic) {
            progress.users += 1;
            return;
        }
        let delivered = cursor.map(|cursor| (cursor.epoch, cursor.seq));
        let users = 1;
        self.topics.push((
            topic,
            TopicAudit {
                delivery,
                users,
                delivered,
            },
        ));
    }

    pub(crate) fn on_unsubscribe(&mut self, topic: &TopicName) {
        if let Some(progress) = self.progress(topic) {
            progress.users -= 1;
        }
        self.topics.retain(|(_, progress)| progress.users > 0);
    }

    pub(crate) fn is_tracked(&self, topic: &TopicName) -> bool {
        self.topics.iter().any(|(known, _)| known == topic)
    }

    /// A state was delivered. Within one log its seq never goes back, unless the log lost events.
    pub(crate) fn on_state(&mut self, topic: &TopicName, cursor: Cursor, reason: ResetReason) {
        let Some(progress) = self.progress(topic) else { return };
        let before = progress.delivered.replace((cursor.epoch, cursor.seq));
        self.counts.states += 1;
        if let Some((epoch, seq)) = before
            && epoch == cursor.epoch
            && cursor.seq < seq
            && !reason.lost_events()
        {
            self.report(topic, AnomalyKind::Duplicate, Some(seq), cursor.seq);
        }
    }

    pub(crate) fn on_event(&mut self, topic: &TopicName, seq: Seq) {
        let Some(progress) = self.progress(topic) else { return };
        let before = progress.delivered.map(|(_, seq)| seq);
        let anomaly = match (before, progress.delivery) {
            (None, _) => Some(AnomalyKind::Gap),
            (Some(before), _) if seq <= before => Some(AnomalyKind::Duplicate),
            (Some(before), Delivery::Every) if seq != before + 1 => Some(AnomalyKind::Gap),
            _ => None,
        };
        if let Some((_, delivered)) = &mut progress.delivered {
            *delivered = seq.max(*delivered);
        }
        self.counts.events += 1;
        if let Some(anomaly) = anomaly {
            self.report(topic, anomaly, before, seq);
        }
    }

    /// The counts so far.
    #[must_use]
    pub const fn counts(&self) -> DeliveryCounts {
        self.counts
    }

    /// The first anomalies.
    #[must_use]
    pub fn anomalies(&self) -> &[Anomaly] {
        &self.anomalies
    }

    fn progress(&mut self, topic: &TopicName) -> Option<&mut TopicAudit> {
        let found = self.topics.iter_mut().find(|(known, _)| known == topic);
        found.map(|(_, progress)| progress)
    }

    fn report(&mut self, topic: &TopicName, anomaly: AnomalyKind, after: Option<Seq>, seq: Seq) {
        match anomaly {
            AnomalyKind::Gap => self.counts.gaps += 1,
            AnomalyKind::Duplicate => self.counts.duplicates += 1,
        }
        if self.anomalies.len() < MAX_ANOMALIES {
            let topic = topic.clone();
            self.anomalies.push(Anomaly {
                topic,
                kind: anomaly,
                after,
                seq,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topic(name: &str) -> TopicName {
        name.parse().unwrap()
    }

    fn at(epoch: u64, seq: Seq) -> Cursor {
        Cursor::new(Epoch::new(epoch), seq)
    }

    fn checked(delivery: Delivery, from: Seq, seqs: &[Seq]) -> DeliveryAudit {
        let mut audit = DeliveryAudit::default();
        audit.on_subscribe(topic("chat/a"), delivery, Some(at(1, from)));
        seqs.iter().for_each(|seq| audit.on_event(&topic("chat/a"), *seq));
        audit
    }

    fn counted(audit: &DeliveryAudit) -> (u64, u64) {
        (audit.counts().gaps, audit.counts().duplicates)
    }

    #[test]
    fn a_state_may_skip_ahead_but_not_go_back() {
        let mut audit = checked(Delivery::Every, 3, &[4, 5]);
        let name = topic("chat/a");
        audit.on_state(&name, at(1, 90), ResetReason::TooManyEvents);
        audit.on_event(&name, 91);
        audit.on_state(&name, at(2, 7), ResetReason::OtherEpoch);
        audit.on_event(&name, 8);
        assert_eq!(counted(&audit), (0, 0), "another log starts over");
        audit.on_state(&name, at(2, 7), ResetReason::Diverged);
        audit.on_event(&name, 8);
        assert_eq!(counted(&audit), (0, 0), "and so does a log that lost its tail");
        audit.on_state(&name, at(2, 6), ResetReason::TooManyEvents);
        assert_eq!(counted(&audit), (0, 1));
    }

    #[test]
    fn an_event_without_a_state_is_a_gap_and_an_unused_topic_is_ignored() {
        let mut audit = DeliveryAudit::default();
        audit.on_event(&topic("chat/a"), 1);
        audit.on_subscribe(topic("chat/a"), Delivery::Every, None);
        audit.on_event(&topic("chat/a"), 1);
        assert_eq!((audit.counts().events, counted(&audit)), (1, (1, 0)));
        audit.on_unsubscribe(&topic("chat/a"));
        audit.on_event(&topic("chat/a"), 9);
        assert_eq!(audit.counts().events, 1);
    }

    #[test]
    fn a_topic_is_checked_until_its_last_component_is_gone() {
        let mut audit = checked(Delivery::Every, 0, &[1, 2]);
        let name = topic("chat/a");
        audit.on_subscribe(name.clone(), Delivery::Every, Some(at(1, 2)));
        audit.on_unsubscribe(&name);
        audit.on_event(&name, 4);
        assert_eq!(counted(&audit), (1, 0));
        audit.on_unsubscribe(&name);
        assert!(!audit.is_tracked(&name));
    }

    #[test]
    fn anomalies_are_bounded_and_counts_are_not() {
        let audit = checked(Delivery::Every, 0, &[1; 100]);
        assert_eq!((audit.anomalies().len(), counted(&audit)), (MAX_ANOMALIES, (0, 99)));
    }

    proptest! {
        #[test]
        fn a_complete_run_has_no_anomaly(from in 0u64..1_000, count in 0u64..200) {
            let seqs: Vec<_> = (from + 1..=from + count).collect();
            let audit = checked(Delivery::Every, from, &seqs);
            prop_assert_eq!((audit.counts().events, counted(&audit)), (count, (0, 0)));
        }

        #[test]
        fn a_gap_that_is_injected_is_found(from in 0u64..1_000, count in 2u64..200, lost in 0usize..198) {
            let mut seqs: Vec<_> = (from + 1..=from + count).collect();
            // A lost last event is detected only when another follows.
            let lost = lost % (seqs.len() - 1);
            let missing = seqs.remove(lost);
            let audit = checked(Delivery::Every, from, &seqs);
            prop_assert_eq!(counted(&audit), (1, 0));
            prop_assert_eq!(audit.anomalies()[0].seq, missing + 1);
            prop_assert_eq!(counted(&checked(Delivery::Latest, from, &seqs)), (0, 0), "the newest is enough");
        }

        #[test]
        fn a_duplicate_that_is_injected_is_found(from in 0u64..1_000, count in 1u64..200, one in 0usize..200, later in 0usize..200, delivery in prop::sample::select(vec![Delivery::Every, Delivery::Latest])) {
            let mut seqs: Vec<_> = (from + 1..=from + count).collect();
            let one = one % seqs.len();
            let again = seqs[one];
            let place = one + 1 + later % (seqs.len() - one);
            seqs.insert(place, again);
            let audit = checked(delivery, from, &seqs);
            prop_assert_eq!(counted(&audit), (0, 1));
            prop_assert_eq!((audit.anomalies()[0].seq, audit.anomalies()[0].kind), (again, AnomalyKind::Duplicate));
        }

        #[test]
        fn topics_do_not_disturb_each_other(order in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut audit = DeliveryAudit::default();
            let names = [topic("chat/a"), topic("chat/b")];
            names.iter().for_each(|name| audit.on_subscribe(name.clone(), Delivery::Every, Some(at(1, 0))));
            let mut next = [1, 1];
            for second in order {
                let place = usize::from(second);
                audit.on_event(&names[place], next[place]);
                next[place] += 1;
            }
            prop_assert_eq!(counted(&audit), (0, 0));
        }
    }
}
