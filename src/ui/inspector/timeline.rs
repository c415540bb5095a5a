//! Groups the session's events by the fault that precedes them, newest first. Pure and locale-independent.

use std::collections::VecDeque;

use duplex_leptos::trace::DeliveryCounts;
use duplex_leptos::trace::{EventKind, RequestedFault, TraceEvent};

#[derive(Debug, Clone, PartialEq)]
pub struct FaultPeriod {
    /// A stable id: the number of the period's first event.
    pub number: u64,
    /// `None` for events before the oldest fault in the trace.
    pub fault: Option<RequestedFault>,
    /// The status with which the server rejected the fault.
    pub rejected: Option<u16>,
    pub at: f64,
    pub events: Vec<PeriodEvent>,
    /// Deliveries to the page within the period.
    pub delivered: DeliveryCounts,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PeriodEvent {
    /// Milliseconds since the start of the period.
    pub after: f64,
    pub kind: EventKind,
}

/// Groups the events. `total` holds the delivery counts of the whole session.
pub fn fault_periods(events: &VecDeque<TraceEvent>, total: DeliveryCounts) -> Vec<FaultPeriod> {
    let mut periods: Vec<FaultPeriod> = Vec::new();
    let mut start = events.front().map(|event| event.delivery).unwrap_or_default();
    for event in events {
        let fault = match event.kind {
            EventKind::Fault { fault, rejected } => Some((fault, rejected)),
            _ => None,
        };
        if fault.is_some() || periods.is_empty() {
            if let Some(last) = periods.last_mut() {
                last.delivered = difference(start, event.delivery);
            }
            start = event.delivery;
            periods.push(FaultPeriod {
                number: event.number,
                fault: fault.map(|(fault, _)| fault),
                rejected: fault.and_then(|(_, rejected)| rejected),
                at: event.at,
                events: Vec::new(),
                delivered: DeliveryCounts::default(),
            });
        }
        if let Some(period) = periods.last_mut().filter(|_| fault.is_none()) {
            period.events.push(PeriodEvent {
                after: (event.at - period.at).max(0.0),
                kind: event.kind.clone(),
            });
        }
    }
    if let Some(last) = periods.last_mut() {
        last.delivered = difference(start, total);
    }
    periods.reverse();
    periods
}

fn difference(before: DeliveryCounts, after: DeliveryCounts) -> DeliveryCounts {
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

    fn delivered(events: u64) -> DeliveryCounts {
        DeliveryCounts {
            events,
            ..DeliveryCounts::default()
        }
    }

    fn events(faults: &[bool]) -> VecDeque<TraceEvent> {
        let event = |(index, fault): (usize, &bool)| TraceEvent {
            number: index as u64 + 1,
            at: index as f64 * 100.0,
            delivery: delivered(index as u64),
            kind: if *fault {
                EventKind::Fault {
                    fault: RequestedFault::Server(Fault::Disconnect),
                    rejected: None,
                }
            } else {
                EventKind::Opened {
                    connection: index as u32,
                }
            },
        };
        faults.iter().enumerate().map(event).collect()
    }

    #[test]
    fn a_fault_starts_a_period_and_steps_count_from_it() {
        let periods = fault_periods(&events(&[false, true, false, false]), delivered(9));
        assert_eq!(
            (periods.len(), periods[0].fault.is_some(), periods[1].fault),
            (2, true, None)
        );
        let after: Vec<_> = periods[0].events.iter().map(|event| event.after).collect();
        assert_eq!((after, periods[0].delivered), (vec![100.0, 200.0], delivered(8)));
        assert_eq!(periods[1].delivered, delivered(1));
    }

    proptest! {
        #[test]
        fn every_event_and_every_delivery_is_in_one_period(faults in prop::collection::vec(any::<bool>(), 0..60)) {
            let events = events(&faults);
            let periods = fault_periods(&events, delivered(faults.len() as u64));
            let steps: usize = periods.iter().map(|period| period.events.len()).sum();
            prop_assert_eq!(steps, faults.iter().filter(|fault| !**fault).count());
            prop_assert_eq!(periods.iter().map(|period| period.delivered.events).sum::<u64>(), faults.len() as u64);
        }
    }
}
