//! Tests of the deduplication of commands.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const LIMITS: DedupeLimits = DedupeLimits {
    max_known: 2,
    max_age: 1_000,
    max_ahead: 60,
    min_rejection_age: 120,
};
const NOW: Millis = 1_800_000_000_000;

fn me() -> PersonId {
    PersonId("0a".to_owned())
}

fn id(number: u128) -> CommandId {
    CommandId::from_bits(number)
}

fn timed(time: Millis) -> CommandId {
    CommandId::from_time(time, 7)
}

fn no() -> Rejection {
    Rejection::custom("no")
}

fn dedupe() -> Dedupe {
    Dedupe::new(LIMITS, None)
}

fn first(dedupe: &Dedupe, by: &PersonId, id: &CommandId, now: Millis) -> Option<Answer> {
    match dedupe.look_up(by, id, now, DedupeSource::Visitor) {
        LookupResult::Duplicate(answer) => Some(answer),
        LookupResult::New => None,
        LookupResult::Rejected(why) => panic!("{why}"),
    }
}

fn rejection(dedupe: &Dedupe, id: &CommandId, now: Millis) -> Option<Rejection> {
    match dedupe.look_up(&me(), id, now, DedupeSource::Visitor) {
        LookupResult::Rejected(why) => Some(why),
        LookupResult::New | LookupResult::Duplicate(_) => None,
    }
}

#[test]
fn a_resent_command_gets_its_first_answer() {
    for command in [id(1), timed(NOW)] {
        let mut dedupe = dedupe();
        dedupe.accepted(&me(), &command, 7, NOW);
        dedupe.accepted(&me(), &command, 8, NOW);
        assert_eq!(first(&dedupe, &me(), &command, NOW), Some(Answer::Accepted { seq: 7 }));
        assert_eq!(first(&dedupe, &me(), &id(2), NOW), None);
    }
}

#[test]
fn final_rejections_are_known_and_evict_no_accepted_command() {
    let mut dedupe = dedupe();
    dedupe.accepted(&me(), &id(1), 7, 0);
    for number in 2..20 {
        dedupe.rejected(&me(), &id(number), &no(), 0);
    }
    dedupe.rejected(&me(), &id(30), &Rejection::Unavailable, 0);
    assert_eq!(first(&dedupe, &me(), &id(1), 0), Some(Answer::Accepted { seq: 7 }));
    assert_eq!(first(&dedupe, &me(), &id(19), 0), Some(Answer::Rejected(no())));
    assert_eq!(first(&dedupe, &me(), &id(17), 0), None);
    assert_eq!(first(&dedupe, &me(), &id(30), 0), None);
}

#[test]
fn an_id_belongs_to_its_sender() {
    for [one, two] in [[id(1), id(2)], [timed(NOW), timed(NOW - 1)]] {
        let mut dedupe = dedupe();
        let [other, third] = ["0b", "0c"].map(|id| PersonId(id.to_owned()));
        dedupe.accepted(&other, &one, 7, NOW);
        dedupe.rejected(&other, &two, &no(), NOW);
        assert_eq!(first(&dedupe, &me(), &one, NOW), None);
        assert_eq!(first(&dedupe, &me(), &two, NOW), None);
        dedupe.accepted(&me(), &one, 9, NOW);
        let answers = [other, me(), third].map(|by| first(&dedupe, &by, &one, NOW));
        let accepted = |seq| Some(Answer::Accepted { seq });
        assert_eq!(answers, [accepted(7), accepted(9), None]);
    }
}

#[test]
fn an_id_outside_its_time_range_is_rejected() {
    let dedupe = dedupe();
    for time in [NOW - 1_000, NOW, NOW + 60] {
        assert_eq!(rejection(&dedupe, &timed(time), NOW), None);
    }
    let (no_effect, now_ms) = (true, NOW);
    let too_new = Some(Rejection::IdTooNew { now_ms });
    assert_eq!(rejection(&dedupe, &timed(NOW + 61), NOW), too_new);
    let too_old = Some(Rejection::IdTooOld { no_effect, now_ms });
    assert_eq!(rejection(&dedupe, &timed(NOW - 1_001), NOW), too_old);
    let verdict = |time, sender| dedupe.look_up(&me(), &timed(time), NOW, sender);
    for time in [NOW - 1_001, NOW + 61] {
        assert_eq!(
            verdict(time, DedupeSource::Server),
            LookupResult::New,
            "the time of its event"
        );
    }
    assert_eq!(
        verdict(NOW - 1_001, DedupeSource::Program),
        LookupResult::New,
        "the time of an old reading"
    );
    assert_ne!(verdict(NOW + 61, DedupeSource::Program), LookupResult::New);
}

#[test]
fn an_id_not_newer_than_a_forgotten_one_is_rejected_forever() {
    let mut dedupe = dedupe();
    // Ordered by the ids' timestamps, not by arrival.
    for (seq, time) in [(1, NOW + 50), (2, NOW + 10), (3, NOW + 30)] {
        dedupe.accepted(&me(), &timed(time), seq, NOW);
    }
    let too_old = |now_ms| {
        let no_effect = false;
        Some(Rejection::IdTooOld { no_effect, now_ms })
    };
    // Also if the clock is set back, and for another sender's id of that time.
    for now in [NOW + 20, NOW + 500_000] {
        assert_eq!(rejection(&dedupe, &timed(NOW + 10), now), too_old(now));
        assert_eq!(rejection(&dedupe, &timed(NOW + 9), now), too_old(now));
    }
    assert_eq!(rejection(&dedupe, &timed(NOW + 10), 5), too_old(NOW + 11));
    assert_eq!(
        first(&dedupe, &me(), &timed(NOW + 30), 5),
        Some(Answer::Accepted { seq: 3 })
    );
    assert_eq!(
        rejection(&dedupe, &timed(NOW + 11), 5),
        None,
        "the time that the rejection returned"
    );
    let for_server = dedupe.look_up(&me(), &timed(NOW + 10), NOW + 20, DedupeSource::Server);
    assert_eq!(Some(for_server), too_old(NOW + 20).map(LookupResult::Rejected));
}

#[test]
fn clock_changes_evict_nothing() {
    let mut dedupe = dedupe();
    dedupe.accepted(&me(), &timed(NOW), 1, NOW);
    dedupe.rejected(&me(), &timed(NOW + 1), &no(), NOW);
    for now in [NOW + 25_000, NOW, 0, NOW + 1] {
        assert_eq!(
            first(&dedupe, &me(), &timed(NOW), now),
            Some(Answer::Accepted { seq: 1 })
        );
        assert_eq!(
            first(&dedupe, &me(), &timed(NOW + 1), now),
            Some(Answer::Rejected(no()))
        );
        dedupe.accepted(&me(), &id(u128::from(now)), 2, now);
    }
}

#[test]
fn rejections_do_not_advance_forgotten_to_the_clock() {
    let mut dedupe = dedupe();
    for time in [NOW + 60, NOW + 59] {
        assert!(dedupe.can_store_rejection(&timed(time), NOW));
        dedupe.rejected(&me(), &timed(time), &no(), NOW);
    }
    assert!(!dedupe.can_store_rejection(&timed(NOW), NOW));
    assert!(dedupe.can_store_rejection(&id(1), NOW), "an id without a time");
    assert!(dedupe.can_store_rejection(&timed(NOW), NOW + 59 + 120));
}

/// A step of the model: a request, or a change of its environment.
#[derive(Debug, Clone)]
enum Step {
    /// The index of the id, the sender, and whether the topic would reject the command.
    Command {
        id: usize,
        other: bool,
        by_server: bool,
        rejected: bool,
    },
    Clock(Millis),
    /// The log removes answers beyond its bounds.
    Trim,
    /// The topic sleeps, or the process is killed.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let command = (0_usize..400, any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    prop_oneof![
        30 => command.prop_map(|(id, other, by_server, rejected)| Step::Command { id, other, by_server, rejected }),
        4 => (0_u64..4_000).prop_map(|clock| Step::Clock(NOW + clock)),
        1 => Just(Step::Trim),
        1 => Just(Step::Restart),
    ]
}

/// A topic and its log: the answer to each id, oldest first.
struct Model {
    dedupe: Dedupe,
    stored: [Vec<(PersonId, CommandId, Answer)>; 2],
    forgotten: Option<Millis>,
    now: Millis,
}

impl Model {
    /// Returns whether the command had an effect, and whether it was finally rejected.
    fn command(&mut self, by: &PersonId, id: &CommandId, by_server: bool, rejected: bool) -> (bool, bool) {
        let answer = match self.dedupe.look_up(
            by,
            id,
            self.now,
            if by_server {
                DedupeSource::Server
            } else {
                DedupeSource::Visitor
            },
        ) {
            LookupResult::Duplicate(_) => return (false, false),
            LookupResult::Rejected(why) if !is_final(&why) => return (false, false),
            LookupResult::Rejected(why) => Answer::Rejected(why),
            LookupResult::New if rejected => Answer::Rejected(no()),
            LookupResult::New => Answer::Accepted { seq: 1 },
        };
        match &answer {
            Answer::Rejected(_) if !self.dedupe.can_store_rejection(id, self.now) => return (false, false),
            Answer::Rejected(why) => self.dedupe.rejected(by, id, why, self.now),
            Answer::Accepted { seq } => self.dedupe.accepted(by, id, *seq, self.now),
        }
        let accepted = matches!(answer, Answer::Accepted { .. });
        self.stored[usize::from(accepted)].push((by.clone(), id.clone(), answer));
        (accepted, !accepted)
    }

    fn trim(&mut self) {
        for stored in &mut self.stored {
            let surplus = stored.len().saturating_sub(LIMITS.max_known);
            let removed = stored.drain(..surplus).filter_map(|(_, id, _)| id.time());
            self.forgotten = self.forgotten.max(removed.max());
        }
    }

    fn restart(&mut self) {
        self.trim();
        self.dedupe = Dedupe::new(LIMITS, self.forgotten);
        for (by, id, answer) in self.stored.iter().flatten() {
            match answer {
                Answer::Accepted { seq } => self.dedupe.accepted(by, id, *seq, self.now),
                Answer::Rejected(why) => self.dedupe.rejected(by, id, why, self.now),
            }
        }
    }
}

proptest! {
    /// For any commands, clock changes and restarts: at most one effect, and none after a final rejection.
    #[test]
    fn no_id_with_a_time_has_two_effects(steps in prop::collection::vec(step(), 1..400)) {
        let mut model = Model { dedupe: dedupe(), stored: [vec![], vec![]], forgotten: None, now: NOW };
        let (mut done, mut finally_rejected) = (HashSet::new(), HashSet::new());
        for step in steps {
            match step {
                Step::Clock(now) => model.now = now,
                Step::Trim => model.trim(),
                Step::Restart => model.restart(),
                Step::Command { id, other, by_server, rejected } => {
                    let by = if other { PersonId("0b".to_owned()) } else { me() };
                    let id = timed(NOW + 10 * id as Millis);
                    let (effect, rejected) = model.command(&by, &id, by_server, rejected);
                    let name = (by, id);
                    prop_assert!(!(effect && finally_rejected.contains(&name)), "rejected before: {name:?}");
                    prop_assert!(!effect || done.insert(name.clone()), "twice: {name:?}");
                    if rejected { finally_rejected.insert(name); }
                }
            }
        }
    }

    /// Of the ids without a timestamp the newest within the age are remembered, and no more are stored than the limits allow.
    #[test]
    fn the_newest_are_known(known in 0usize..6, age in 0u64..40, steps in prop::collection::vec((0u128..12, 0u64..10), 0..60)) {
        let mut dedupe = Dedupe::new(DedupeLimits { max_known: known, max_age: age, ..LIMITS }, None);
        let mut sent: Vec<(u128, Seq, Millis)> = Vec::new();
        let mut now = 0;
        for (seq, (number, later)) in (1..).zip(steps) {
            now += later;
            sent.retain(|(_, _, at)| now - at <= age);
            if first(&dedupe, &me(), &id(number), now).is_none() {
                sent.push((number, seq, now));
                if sent.len() > known { sent.remove(0); }
            }
            dedupe.accepted(&me(), &id(number), seq, now);
            let expected: HashMap<_, _> = sent.iter().map(|known| (known.0, known.1)).collect();
            for number in 0..12 {
                let expected = expected.get(&number).map(|seq| Answer::Accepted { seq: *seq });
                prop_assert_eq!(first(&dedupe, &me(), &id(number), now), expected);
            }
            let window = &dedupe.accepted.untimed;
            prop_assert!(window.order.len() <= known);
            prop_assert_eq!(window.order.len(), window.entries.len());
        }
    }
}
