//! What happened after each fault: the moments of the session in chapters, newest first. Pure; knows no language.

use std::collections::VecDeque;

use duplex_leptos::trace::DeliveryCounts;
use duplex_leptos::trace::{EventKind, RequestedFault, TraceEvent};

#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Names it for ever: the number of its first moment.
    pub number: u64,
    /// None: what happened before any fault that is still remembered.
    pub fault: Option<RequestedFault>,
    /// The status with which the server refused the fault.
    pub refused: Option<u16>,
    pub at: f64,
    pub steps: Vec<Step>,
    /// What was told to the page from the fault to the end of the chapter.
    pub told: DeliveryCounts,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Milliseconds since the chapter began.
    pub after: f64,
    pub what: EventKind,
}

/// `now`: what was told up to now.
pub fn chapters(events: &VecDeque<TraceEvent>, now: DeliveryCounts) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    let mut began = events.front().map(|event| event.delivery).unwrap_or_default();
    for event in events {
        let fault = match event.kind {
            EventKind::Fault { fault, refused } => Some((fault, refused)),
            _ => None,
        };
        if fault.is_some() || chapters.is_empty() {
            if let Some(last) = chapters.last_mut() {
                last.told = since(began, event.delivery);
            }
            began = event.delivery;
            chapters.push(Chapter {
                number: event.number,
                fault: fault.map(|(fault, _)| fault),
                refused: fault.and_then(|(_, refused)| refused),
                at: event.at,
                steps: Vec::new(),
                told: DeliveryCounts::default(),
            });
        }
        if let Some(chapter) = chapters.last_mut().filter(|_| fault.is_none()) {
            chapter.steps.push(Step {
                after: (event.at - chapter.at).max(0.0),
                what: event.kind.clone(),
            });
        }
    }
    if let Some(last) = chapters.last_mut() {
        last.told = since(began, now);
    }
    chapters.reverse();
    chapters
}

fn since(before: DeliveryCounts, after: DeliveryCounts) -> DeliveryCounts {
    DeliveryCounts {
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

    fn told(events: u64) -> DeliveryCounts {
        DeliveryCounts {
            events,
            ..DeliveryCounts::default()
        }
    }

    fn events(faults: &[bool]) -> VecDeque<TraceEvent> {
        let event = |(place, fault): (usize, &bool)| TraceEvent {
            number: place as u64 + 1,
            at: place as f64 * 100.0,
            delivery: told(place as u64),
            kind: if *fault {
                EventKind::Fault {
                    fault: RequestedFault::Server(Fault::Cut),
                    refused: None,
                }
            } else {
                EventKind::Opened {
                    connection: place as u32,
                }
            },
        };
        faults.iter().enumerate().map(event).collect()
    }

    #[test]
    fn a_fault_begins_a_chapter_and_steps_count_from_it() {
        let chapters = chapters(&events(&[false, true, false, false]), told(9));
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
            let events = events(&faults);
            let chapters = chapters(&events, told(faults.len() as u64));
            let steps: usize = chapters.iter().map(|chapter| chapter.steps.len()).sum();
            prop_assert_eq!(steps, faults.iter().filter(|fault| !**fault).count());
            prop_assert_eq!(chapters.iter().map(|chapter| chapter.told.events).sum::<u64>(), faults.len() as u64);
        }
    }
}
