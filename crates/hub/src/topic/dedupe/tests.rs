//! Tests of the memory of answered commands.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds {
    known: 2,
    age: 1_000,
    ahead: 60,
    young: 120,
};
const NOW: Millis = 1_800_000_000_000;

fn me() -> PersonId {
    PersonId("0a".to_owned())
}

fn id(number: u128) -> CommandId {
    CommandId::from_bits(number)
}

fn timed(time: Millis) -> CommandId {
    CommandId::at(time, 7)
}

fn no() -> Rejection {
    Rejection::refused("no")
}

fn dedupe() -> Dedupe {
    Dedupe::new(BOUNDS, None)
}

fn first(dedupe: &Dedupe, by: &PersonId, id: &CommandId, now: Millis) -> Option<Answer> {
    match dedupe.look(by, id, now, Sender::Client) {
        Verdict::Again(answer) => Some(answer),
        Verdict::New => None,
        Verdict::Refused(why) => panic!("{why}"),
    }
}

fn refusal(dedupe: &Dedupe, id: &CommandId, now: Millis) -> Option<Rejection> {
    match dedupe.look(&me(), id, now, Sender::Client) {
        Verdict::Refused(why) => Some(why),
        Verdict::New | Verdict::Again(_) => None,
    }
}

#[test]
fn a_command_that_comes_again_gets_its_first_answer() {
    for command in [id(1), timed(NOW)] {
        let mut dedupe = dedupe();
        dedupe.accepted(&me(), &command, 7, NOW);
        dedupe.accepted(&me(), &command, 8, NOW);
        assert_eq!(first(&dedupe, &me(), &command, NOW), Some(Answer::Accepted { seq: 7 }));
        assert_eq!(first(&dedupe, &me(), &id(2), NOW), None);
    }
}

#[test]
fn final_refusals_are_known_and_push_nothing_accepted_out() {
    let mut dedupe = dedupe();
    dedupe.accepted(&me(), &id(1), 7, 0);
    for number in 2..20 {
        dedupe.refused(&me(), &id(number), &no(), 0);
    }
    dedupe.refused(&me(), &id(30), &Rejection::Unavailable, 0);
    assert_eq!(first(&dedupe, &me(), &id(1), 0), Some(Answer::Accepted { seq: 7 }));
    assert_eq!(first(&dedupe, &me(), &id(19), 0), Some(Answer::Rejected(no())));
    assert_eq!(first(&dedupe, &me(), &id(17), 0), None);
    assert_eq!(first(&dedupe, &me(), &id(30), 0), None);
}

#[test]
fn an_id_is_its_senders_alone() {
    for [one, two] in [[id(1), id(2)], [timed(NOW), timed(NOW - 1)]] {
        let mut dedupe = dedupe();
        let [other, third] = ["0b", "0c"].map(|id| PersonId(id.to_owned()));
        dedupe.accepted(&other, &one, 7, NOW);
        dedupe.refused(&other, &two, &no(), NOW);
        assert_eq!(first(&dedupe, &me(), &one, NOW), None);
        assert_eq!(first(&dedupe, &me(), &two, NOW), None);
        dedupe.accepted(&me(), &one, 9, NOW);
        let answers = [other, me(), third].map(|by| first(&dedupe, &by, &one, NOW));
        let accepted = |seq| Some(Answer::Accepted { seq });
        assert_eq!(answers, [accepted(7), accepted(9), None]);
    }
}

#[test]
fn an_id_is_refused_outside_its_time() {
    let dedupe = dedupe();
    for time in [NOW - 1_000, NOW, NOW + 60] {
        assert_eq!(refusal(&dedupe, &timed(time), NOW), None);
    }
    let (no_effect, now_ms) = (true, NOW);
    let too_new = Some(Rejection::IdTooNew { now_ms });
    assert_eq!(refusal(&dedupe, &timed(NOW + 61), NOW), too_new);
    let too_old = Some(Rejection::IdTooOld { no_effect, now_ms });
    assert_eq!(refusal(&dedupe, &timed(NOW - 1_001), NOW), too_old);
    let verdict = |time, sender| dedupe.look(&me(), &timed(time), NOW, sender);
    for time in [NOW - 1_001, NOW + 61] {
        assert_eq!(verdict(time, Sender::Server), Verdict::New, "the event was then");
    }
    assert_eq!(verdict(NOW - 1_001, Sender::Program), Verdict::New, "a reading of then");
    assert_ne!(verdict(NOW + 61, Sender::Program), Verdict::New);
}

#[test]
fn what_is_not_newer_than_what_was_forgotten_is_refused_for_ever() {
    let mut dedupe = dedupe();
    // By the ids' own times, however they come.
    for (seq, time) in [(1, NOW + 50), (2, NOW + 10), (3, NOW + 30)] {
        dedupe.accepted(&me(), &timed(time), seq, NOW);
    }
    let too_old = |now_ms| {
        let no_effect = false;
        Some(Rejection::IdTooOld { no_effect, now_ms })
    };
    // Also where the clock was set back, and at another's id of that time.
    for now in [NOW + 20, NOW + 500_000] {
        assert_eq!(refusal(&dedupe, &timed(NOW + 10), now), too_old(now));
        assert_eq!(refusal(&dedupe, &timed(NOW + 9), now), too_old(now));
    }
    assert_eq!(refusal(&dedupe, &timed(NOW + 10), 5), too_old(NOW + 11));
    assert_eq!(
        first(&dedupe, &me(), &timed(NOW + 30), 5),
        Some(Answer::Accepted { seq: 3 })
    );
    assert_eq!(refusal(&dedupe, &timed(NOW + 11), 5), None, "the time that it was told");
    let of_the_server = dedupe.look(&me(), &timed(NOW + 10), NOW + 20, Sender::Server);
    assert_eq!(Some(of_the_server), too_old(NOW + 20).map(Verdict::Refused));
}

#[test]
fn no_step_of_the_clock_forgets() {
    let mut dedupe = dedupe();
    dedupe.accepted(&me(), &timed(NOW), 1, NOW);
    dedupe.refused(&me(), &timed(NOW + 1), &no(), NOW);
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
fn refusals_do_not_bring_the_horizon_to_the_clock() {
    let mut dedupe = dedupe();
    for time in [NOW + 60, NOW + 59] {
        assert!(dedupe.may_refuse(&timed(time), NOW));
        dedupe.refused(&me(), &timed(time), &no(), NOW);
    }
    assert!(!dedupe.may_refuse(&timed(NOW), NOW));
    assert!(dedupe.may_refuse(&id(1), NOW), "it has no time to be held to");
    assert!(dedupe.may_refuse(&timed(NOW), NOW + 59 + 120));
}

/// What a topic is asked, and what happens to it.
#[derive(Debug, Clone)]
enum Step {
    /// The id's place among those that there are, who sends it, and whether the topic would refuse it.
    Command {
        id: usize,
        other: bool,
        by_server: bool,
        refused: bool,
    },
    Clock(Millis),
    /// The log lets go of what is beyond its bounds.
    Trim,
    /// The topic sleeps, or the process is killed.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let command = (0_usize..400, any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    prop_oneof![
        30 => command.prop_map(|(id, other, by_server, refused)| Step::Command { id, other, by_server, refused }),
        4 => (0_u64..4_000).prop_map(|clock| Step::Clock(NOW + clock)),
        1 => Just(Step::Trim),
        1 => Just(Step::Restart),
    ]
}

/// A topic and its log: what an id came to, oldest first.
struct Model {
    dedupe: Dedupe,
    kept: [Vec<(PersonId, CommandId, Answer)>; 2],
    forgotten: Option<Millis>,
    now: Millis,
}

impl Model {
    /// Returns whether the command had an effect, and whether it was refused for good.
    fn command(&mut self, by: &PersonId, id: &CommandId, by_server: bool, refused: bool) -> (bool, bool) {
        let answer = match self.dedupe.look(
            by,
            id,
            self.now,
            if by_server { Sender::Server } else { Sender::Client },
        ) {
            Verdict::Again(_) => return (false, false),
            Verdict::Refused(why) if !is_final(&why) => return (false, false),
            Verdict::Refused(why) => Answer::Rejected(why),
            Verdict::New if refused => Answer::Rejected(no()),
            Verdict::New => Answer::Accepted { seq: 1 },
        };
        match &answer {
            Answer::Rejected(_) if !self.dedupe.may_refuse(id, self.now) => return (false, false),
            Answer::Rejected(why) => self.dedupe.refused(by, id, why, self.now),
            Answer::Accepted { seq } => self.dedupe.accepted(by, id, *seq, self.now),
        }
        let accepted = matches!(answer, Answer::Accepted { .. });
        self.kept[usize::from(accepted)].push((by.clone(), id.clone(), answer));
        (accepted, !accepted)
    }

    fn trim(&mut self) {
        for kept in &mut self.kept {
            let surplus = kept.len().saturating_sub(BOUNDS.known);
            let gone = kept.drain(..surplus).filter_map(|(_, id, _)| id.time());
            self.forgotten = self.forgotten.max(gone.max());
        }
    }

    fn restart(&mut self) {
        self.trim();
        self.dedupe = Dedupe::new(BOUNDS, self.forgotten);
        for (by, id, answer) in self.kept.iter().flatten() {
            match answer {
                Answer::Accepted { seq } => self.dedupe.accepted(by, id, *seq, self.now),
                Answer::Rejected(why) => self.dedupe.refused(by, id, why, self.now),
            }
        }
    }
}

proptest! {
    /// Whatever is sent, whatever the clock does, however often the topic sleeps: one effect, and none after a refusal.
    #[test]
    fn no_id_with_a_time_has_two_effects(steps in prop::collection::vec(step(), 1..400)) {
        let mut model = Model { dedupe: dedupe(), kept: [vec![], vec![]], forgotten: None, now: NOW };
        let (mut done, mut refused_for_good) = (HashSet::new(), HashSet::new());
        for step in steps {
            match step {
                Step::Clock(now) => model.now = now,
                Step::Trim => model.trim(),
                Step::Restart => model.restart(),
                Step::Command { id, other, by_server, refused } => {
                    let by = if other { PersonId("0b".to_owned()) } else { me() };
                    let id = timed(NOW + 10 * id as Millis);
                    let (effect, refused) = model.command(&by, &id, by_server, refused);
                    let name = (by, id);
                    prop_assert!(!(effect && refused_for_good.contains(&name)), "refused before: {name:?}");
                    prop_assert!(!effect || done.insert(name.clone()), "twice: {name:?}");
                    if refused { refused_for_good.insert(name); }
                }
            }
        }
    }

    /// Of the ids without a time the newest within the age are known, and no more is held than the bounds say.
    #[test]
    fn the_newest_are_known(known in 0usize..6, age in 0u64..40, steps in prop::collection::vec((0u128..12, 0u64..10), 0..60)) {
        let mut dedupe = Dedupe::new(Bounds { known, age, ..BOUNDS }, None);
        let mut said: Vec<(u128, Seq, Millis)> = Vec::new();
        let mut now = 0;
        for (seq, (number, later)) in (1..).zip(steps) {
            now += later;
            said.retain(|(_, _, at)| now - at <= age);
            if first(&dedupe, &me(), &id(number), now).is_none() {
                said.push((number, seq, now));
                if said.len() > known { said.remove(0); }
            }
            dedupe.accepted(&me(), &id(number), seq, now);
            let expected: HashMap<_, _> = said.iter().map(|known| (known.0, known.1)).collect();
            for number in 0..12 {
                let expected = expected.get(&number).map(|seq| Answer::Accepted { seq: *seq });
                prop_assert_eq!(first(&dedupe, &me(), &id(number), now), expected);
            }
            let window = &dedupe.accepted.other;
            prop_assert!(window.order.len() <= known);
            prop_assert_eq!(window.order.len(), window.known.len());
        }
    }
}
