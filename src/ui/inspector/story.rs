//! What happened after each fault: the moments of the session in chapters, newest first. Pure; knows no language.

use std::collections::VecDeque;

use duplex_leptos::trace::delivery_audit::Tally;
use duplex_leptos::trace::{Disturbance, Moment, What};

#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Names it for ever: the number of its first moment.
    pub number: u64,
    /// None: what happened before any fault that is still remembered.
    pub fault: Option<Disturbance>,
    /// The status with which the server refused the fault.
    pub refused: Option<u16>,
    pub at: f64,
    pub steps: Vec<Step>,
    /// What was told to the page from the fault to the end of the chapter.
    pub told: Tally,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Milliseconds since the chapter began.
    pub after: f64,
    pub what: What,
}

/// `now`: what was told up to now.
pub fn chapters(moments: &VecDeque<Moment>, now: Tally) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    let mut began = moments.front().map(|moment| moment.tally).unwrap_or_default();
    for moment in moments {
        let fault = match moment.what {
            What::Fault { fault, refused } => Some((fault, refused)),
            _ => None,
        };
        if fault.is_some() || chapters.is_empty() {
            if let Some(last) = chapters.last_mut() {
                last.told = since(began, moment.tally);
            }
            began = moment.tally;
            chapters.push(Chapter {
                number: moment.number,
                fault: fault.map(|(fault, _)| fault),
                refused: fault.and_then(|(_, refused)| refused),
                at: moment.at,
                steps: Vec::new(),
                told: Tally::default(),
            });
        }
        if let Some(chapter) = chapters.last_mut().filter(|_| fault.is_none()) {
            chapter.steps.push(Step {
                after: (moment.at - chapter.at).max(0.0),
                what: moment.what.clone(),
            });
        }
    }
    if let Some(last) = chapters.last_mut() {
        last.told = since(began, now);
    }
    chapters.reverse();
    chapters
}

fn since(before: Tally, after: Tally) -> Tally {
    Tally {
        events: after.events.saturating_sub(before.events),
        states: after.states.saturating_sub(before.states),
        gaps: after.gaps.saturating_sub(before.gaps),
        duplicates: after.duplicates.saturating_sub(before.duplicates),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use duplex_protocol::fault::Fault;

    fn told(events: u64) -> Tally {
        Tally {
            events,
            ..Tally::default()
        }
    }

    fn moments(faults: &[bool]) -> VecDeque<Moment> {
        let moment = |(place, fault): (usize, &bool)| Moment {
            number: place as u64 + 1,
            at: place as f64 * 100.0,
            tally: told(place as u64),
            what: if *fault {
                What::Fault {
                    fault: Disturbance::Server(Fault::Cut),
                    refused: None,
                }
            } else {
                What::Opened { line: place as u32 }
            },
        };
        faults.iter().enumerate().map(moment).collect()
    }

    #[test]
    fn a_fault_begins_a_chapter_and_steps_count_from_it() {
        let chapters = chapters(&moments(&[false, true, false, false]), told(9));
        assert_eq!(
            (chapters.len(), chapters[0].fault.is_some(), chapters[1].fault),
            (2, true, None)
        );
        let after: Vec<_> = chapters[0].steps.iter().map(|step| step.after).collect();
        assert_eq!((after, chapters[0].told), (vec![100.0, 200.0], told(8)));
        assert_eq!(chapters[1].told, told(1));
    }

    proptest! {
        #[test]
        fn no_moment_and_no_event_is_left_out(faults in prop::collection::vec(any::<bool>(), 0..60)) {
            let moments = moments(&faults);
            let chapters = chapters(&moments, told(faults.len() as u64));
            let steps: usize = chapters.iter().map(|chapter| chapter.steps.len()).sum();
            prop_assert_eq!(steps, faults.iter().filter(|fault| !**fault).count());
            prop_assert_eq!(chapters.iter().map(|chapter| chapter.told.events).sum::<u64>(), faults.len() as u64);
        }
    }
}
