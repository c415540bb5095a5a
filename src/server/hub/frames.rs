//! Events on their way into a ring, each as the frame that readers share. Knows no task and no log.

use std::sync::Arc;

use super::kind::{Event, EventFrame, Kind};
use super::memory::Tail;
use super::ring::{Bounds, Ring};
use crate::server::limits;
use crate::server::log::Retention;
use crate::wire::cursor::Seq;
use crate::wire::topic::Delivery;

/// A ring with the events of a tail.
pub fn fill(ring: &mut Ring<Arc<EventFrame>>, tail: Tail, delivery: Delivery) {
    if tail.after > ring.head() {
        begin(ring, tail.after, delivery);
    }
    for (event, bytes) in tail.events {
        push(ring, event, bytes);
    }
}

/// Nothing is shown any more of what came up to `head`.
pub fn begin(ring: &mut Ring<Arc<EventFrame>>, head: Seq, delivery: Delivery) {
    *ring = Ring::new(head, delivery, Bounds::default());
}

pub fn push(ring: &mut Ring<Arc<EventFrame>>, event: Box<dyn Event>, bytes: usize) {
    let frame = EventFrame::new(ring.head() + 1, None, event);
    ring.push(frame.key(), bytes + limits::EVENT_OVERHEAD, Arc::new(frame));
}

/// What is kept beyond a snapshot: never less than a ring may be asked for.
pub fn retention(kind: &dyn Kind) -> Retention {
    let retention = kind.retention();
    Retention {
        events: retention.events.max(limits::RING_EVENTS as u64),
        ..retention
    }
}

/// If it is there.
pub fn replace(ring: &mut Ring<Arc<EventFrame>>, seq: Seq, event: Box<dyn Event>, bytes: usize) {
    let frame = EventFrame::new(seq, None, event);
    ring.replace(seq, bytes + limits::EVENT_OVERHEAD, &Arc::new(frame));
}
