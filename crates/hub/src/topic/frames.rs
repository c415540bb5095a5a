//! Events on their way into a ring, each as the frame that readers share. Knows no task and no log.

use std::sync::Arc;

use super::ring::{Bounds, Ring};
use crate::limits;
use crate::log::Retention;
use crate::topic::dyn_topic::{DynEvent, DynTopic};
use crate::topic::event_frame::EventFrame;
use crate::topic::projection::{Tail, TailEvent};
use duplex_protocol::cursor::{Check, Seq};
use duplex_protocol::topic::Delivery;

/// A ring with the events of a tail.
pub(crate) fn fill(ring: &mut Ring<Arc<EventFrame>>, tail: Tail, delivery: Delivery) {
    if tail.after > ring.head() {
        begin(ring, (tail.after, tail.check), delivery);
    }
    for TailEvent { event, check, bytes } in tail.events {
        push(ring, event, check, bytes);
    }
}

/// Nothing is shown any more of what came up to `head`, with the log's check there.
pub(crate) fn begin(ring: &mut Ring<Arc<EventFrame>>, head: (Seq, Option<Check>), delivery: Delivery) {
    *ring = Ring::new(head, delivery, Bounds::default());
}

pub(crate) fn push(ring: &mut Ring<Arc<EventFrame>>, event: Box<dyn DynEvent>, check: Option<Check>, bytes: usize) {
    let frame = EventFrame::new(ring.head() + 1, check, event);
    ring.push(frame.key(), bytes + limits::EVENT_OVERHEAD, check, Arc::new(frame));
}

/// What is kept beyond a snapshot: never less than a ring may be asked for.
pub(crate) fn retention(kind: &dyn DynTopic) -> Retention {
    let retention = kind.retention();
    Retention {
        events: retention.events.max(limits::RING_EVENTS as u64),
        ..retention
    }
}

/// If it is there.
pub(crate) fn replace(ring: &mut Ring<Arc<EventFrame>>, seq: Seq, event: Box<dyn DynEvent>, bytes: usize) {
    let check = ring.get(seq).and_then(|frame| frame.check());
    let frame = EventFrame::new(seq, check, event);
    ring.replace(seq, bytes + limits::EVENT_OVERHEAD, &Arc::new(frame));
}
