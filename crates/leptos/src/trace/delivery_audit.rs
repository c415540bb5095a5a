//! Whether anything was lost or shown twice, computed from what the page's components were really told: an opinion of its
//! own, which shares nothing with the subscriptions that are to prevent it. Pure; knows no line and no event's meaning.

use serde::Serialize;

use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::session::ResetReason;
use duplex_protocol::topic::{Delivery, TopicName};

/// Faults that are remembered one by one; all are counted.
const REMEMBERED: usize = 32;

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wrong {
    /// Something is missing before it.
    Gap,
    /// It, or one after it, was told before.
    Duplicate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub topic: TopicName,
    pub wrong: Wrong,
    /// The newest seq that was told before; none without a state.
    pub after: Option<Seq>,
    pub seq: Seq,
}

/// Since the page was loaded, over all topics and lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub events: u64,
    pub states: u64,
    pub gaps: u64,
    pub duplicates: u64,
}

impl Tally {
    /// Nothing was lost, and nothing came twice.
    pub const fn is_whole(self) -> bool {
        self.gaps == 0 && self.duplicates == 0
    }
}

#[derive(Debug, Default)]
pub struct Checker {
    /// Few: a session has 64 at most.
    topics: Vec<(TopicName, Place)>,
    tally: Tally,
    findings: Vec<Finding>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    delivery: Delivery,
    /// Components that show it.
    users: usize,
    told: Option<(Epoch, Seq)>,
}

impl Checker {
    /// The topic is shown from now on, with a state that is true at `cursor`, or with none.
    pub fn begin(&mut self, topic: TopicName, delivery: Delivery, cursor: Option<Cursor>) {
        if let Some(place) = self.place(&topic) {
            place.users += 1;
            return;
        }
        let told = cursor.map(|cursor| (cursor.epoch, cursor.seq));
        let users = 1;
        self.topics.push((topic, Place { delivery, users, told }));
    }

    pub fn end(&mut self, topic: &TopicName) {
        if let Some(place) = self.place(topic) {
            place.users -= 1;
        }
        self.topics.retain(|(_, place)| place.users > 0);
    }

    pub fn shows(&self, topic: &TopicName) -> bool {
        self.topics.iter().any(|(known, _)| known == topic)
    }

    /// A state replaced what was shown. Within one log it never goes back, unless the log itself did.
    pub fn state(&mut self, topic: &TopicName, cursor: Cursor, reason: ResetReason) {
        let Some(place) = self.place(topic) else { return };
        let before = place.told.replace((cursor.epoch, cursor.seq));
        self.tally.states += 1;
        if let Some((epoch, seq)) = before
            && epoch == cursor.epoch
            && cursor.seq < seq
            && !reason.lost_events()
        {
            self.found(topic, Wrong::Duplicate, Some(seq), cursor.seq);
        }
    }

    pub fn event(&mut self, topic: &TopicName, seq: Seq) {
        let Some(place) = self.place(topic) else { return };
        let before = place.told.map(|(_, seq)| seq);
        let wrong = match (before, place.delivery) {
            (None, _) => Some(Wrong::Gap),
            (Some(before), _) if seq <= before => Some(Wrong::Duplicate),
            (Some(before), Delivery::Every) if seq != before + 1 => Some(Wrong::Gap),
            _ => None,
        };
        if let Some((_, told)) = &mut place.told {
            *told = seq.max(*told);
        }
        self.tally.events += 1;
        if let Some(wrong) = wrong {
            self.found(topic, wrong, before, seq);
        }
    }

    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// The first of them.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn place(&mut self, topic: &TopicName) -> Option<&mut Place> {
        let found = self.topics.iter_mut().find(|(known, _)| known == topic);
        found.map(|(_, place)| place)
    }

    fn found(&mut self, topic: &TopicName, wrong: Wrong, after: Option<Seq>, seq: Seq) {
        match wrong {
            Wrong::Gap => self.tally.gaps += 1,
            Wrong::Duplicate => self.tally.duplicates += 1,
        }
        if self.findings.len() < REMEMBERED {
            let topic = topic.clone();
            self.findings.push(Finding {
                topic,
                wrong,
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

    fn checked(delivery: Delivery, from: Seq, seqs: &[Seq]) -> Checker {
        let mut checker = Checker::default();
        checker.begin(topic("chat/a"), delivery, Some(at(1, from)));
        seqs.iter().for_each(|seq| checker.event(&topic("chat/a"), *seq));
        checker
    }

    fn wrongs(checker: &Checker) -> (u64, u64) {
        (checker.tally().gaps, checker.tally().duplicates)
    }

    #[test]
    fn a_state_is_a_new_beginning_unless_it_goes_back() {
        let mut checker = checked(Delivery::Every, 3, &[4, 5]);
        let name = topic("chat/a");
        checker.state(&name, at(1, 90), ResetReason::TooFar);
        checker.event(&name, 91);
        checker.state(&name, at(2, 7), ResetReason::OtherEpoch);
        checker.event(&name, 8);
        assert_eq!(wrongs(&checker), (0, 0), "another log counts anew");
        checker.state(&name, at(2, 7), ResetReason::Diverged);
        checker.event(&name, 8);
        assert_eq!(wrongs(&checker), (0, 0), "and so does one that lost its tail");
        checker.state(&name, at(2, 6), ResetReason::TooFar);
        assert_eq!(wrongs(&checker), (0, 1));
    }

    #[test]
    fn an_event_without_a_state_is_a_gap_and_a_topic_that_is_not_shown_is_none() {
        let mut checker = Checker::default();
        checker.event(&topic("chat/a"), 1);
        checker.begin(topic("chat/a"), Delivery::Every, None);
        checker.event(&topic("chat/a"), 1);
        assert_eq!((checker.tally().events, wrongs(&checker)), (1, (1, 0)));
        checker.end(&topic("chat/a"));
        checker.event(&topic("chat/a"), 9);
        assert_eq!(checker.tally().events, 1);
    }

    #[test]
    fn a_topic_is_checked_until_its_last_component_is_gone() {
        let mut checker = checked(Delivery::Every, 0, &[1, 2]);
        let name = topic("chat/a");
        checker.begin(name.clone(), Delivery::Every, Some(at(1, 2)));
        checker.end(&name);
        checker.event(&name, 4);
        assert_eq!(wrongs(&checker), (1, 0));
        checker.end(&name);
        assert!(!checker.shows(&name));
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_what_is_counted_has_none() {
        let checker = checked(Delivery::Every, 0, &[1; 100]);
        assert_eq!((checker.findings().len(), wrongs(&checker)), (REMEMBERED, (0, 99)));
    }

    proptest! {
        #[test]
        fn a_whole_run_has_no_fault(from in 0u64..1_000, count in 0u64..200) {
            let seqs: Vec<_> = (from + 1..=from + count).collect();
            let checker = checked(Delivery::Every, from, &seqs);
            prop_assert_eq!((checker.tally().events, wrongs(&checker)), (count, (0, 0)));
        }

        #[test]
        fn a_gap_that_is_injected_is_found(from in 0u64..1_000, count in 2u64..200, lost in 0usize..198) {
            let mut seqs: Vec<_> = (from + 1..=from + count).collect();
            // The last one is not missed before another follows.
            let lost = lost % (seqs.len() - 1);
            let missing = seqs.remove(lost);
            let checker = checked(Delivery::Every, from, &seqs);
            prop_assert_eq!(wrongs(&checker), (1, 0));
            prop_assert_eq!(checker.findings()[0].seq, missing + 1);
            prop_assert_eq!(wrongs(&checked(Delivery::Latest, from, &seqs)), (0, 0), "the newest is enough");
        }

        #[test]
        fn a_duplicate_that_is_injected_is_found(from in 0u64..1_000, count in 1u64..200, one in 0usize..200, later in 0usize..200, delivery in prop::sample::select(vec![Delivery::Every, Delivery::Latest])) {
            let mut seqs: Vec<_> = (from + 1..=from + count).collect();
            let one = one % seqs.len();
            let again = seqs[one];
            let place = one + 1 + later % (seqs.len() - one);
            seqs.insert(place, again);
            let checker = checked(delivery, from, &seqs);
            prop_assert_eq!(wrongs(&checker), (0, 1));
            prop_assert_eq!((checker.findings()[0].seq, checker.findings()[0].wrong), (again, Wrong::Duplicate));
        }

        #[test]
        fn topics_do_not_disturb_each_other(order in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut checker = Checker::default();
            let names = [topic("chat/a"), topic("chat/b")];
            names.iter().for_each(|name| checker.begin(name.clone(), Delivery::Every, Some(at(1, 0))));
            let mut next = [1, 1];
            for second in order {
                let place = usize::from(second);
                checker.event(&names[place], next[place]);
                next[place] += 1;
            }
            prop_assert_eq!(wrongs(&checker), (0, 0));
        }
    }
}
