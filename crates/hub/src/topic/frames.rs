//! Helpers that push events into a topic's ring as shared frames.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::batch::BatchEvent;
use super::direct::EventBatch;
use super::handle::TopicShared;
use super::redaction::RedactionPlan;
use super::ring::{Ring, RingLimits};
use crate::limits;
use crate::lock;
use crate::log::Retention;
use crate::topic::dyn_topic::{DynEvent, DynTopic};
use crate::topic::event_frame::EventFrame;
use crate::topic::projection::{Tail, TailEvent};
use duplex_protocol::cursor::{Checksum, Seq};
use duplex_protocol::topic::Delivery;

/// Appends the events of a tail to the ring.
pub(crate) fn fill(ring: &mut Ring<Arc<EventFrame>>, tail: Tail, delivery: Delivery) {
    if tail.after > ring.head() {
        restart(ring, (tail.after, tail.checksum), delivery);
    }
    for TailEvent { event, checksum, bytes } in tail.events {
        push(ring, event, checksum, bytes);
    }
}

/// Clears the ring and restarts it after `head`, where the log has this checksum.
pub(crate) fn restart(ring: &mut Ring<Arc<EventFrame>>, head: (Seq, Option<Checksum>), delivery: Delivery) {
    *ring = Ring::new(head, delivery, RingLimits::default());
}

/// Appends new durable events to the ring, after a redaction was applied to it.
pub(super) fn publish(
    shared: &TopicShared,
    events: Vec<(Seq, BatchEvent)>,
    checksums: Vec<Option<Checksum>>,
    plan: Option<RedactionPlan>,
) -> EventBatch {
    let mut published = Vec::with_capacity(events.len());
    let mut ring = lock::write(&shared.ring);
    if let Some(plan) = plan {
        plan.apply_to_ring(shared, &mut ring);
    }
    let first = ring.head() + 1;
    for ((seq, event), checksum) in events.into_iter().zip(checksums) {
        if seq == ring.head() + 1 {
            published.push(push(&mut ring, event.event, checksum, event.bytes));
        }
    }
    shared.head.store(ring.head(), Ordering::Release);
    EventBatch::new(shared.name.clone(), first, published)
}

/// Appends the events of another node, which follow the ring's head.
pub(super) fn publish_followed(shared: &TopicShared, events: Vec<TailEvent>) -> EventBatch {
    let mut ring = lock::write(&shared.ring);
    let first = ring.head() + 1;
    let pushed = events
        .into_iter()
        .map(|TailEvent { event, checksum, bytes }| push(&mut ring, event, checksum, bytes));
    let published = pushed.collect();
    shared.head.store(ring.head(), Ordering::Release);
    EventBatch::new(shared.name.clone(), first, published)
}

fn push(
    ring: &mut Ring<Arc<EventFrame>>,
    event: Box<dyn DynEvent>,
    checksum: Option<Checksum>,
    bytes: usize,
) -> Arc<EventFrame> {
    let previous = ring.get(ring.head()).map(Arc::downgrade).unwrap_or_default();
    let frame = Arc::new(EventFrame::new(ring.head() + 1, checksum, event, previous));
    ring.push(
        frame.key(),
        bytes + limits::EVENT_OVERHEAD,
        checksum,
        Arc::clone(&frame),
    );
    frame
}

/// A kind's retention, raised to at least the ring's capacity.
pub(crate) fn effective_retention(kind: &dyn DynTopic) -> Retention {
    let retention = kind.retention();
    Retention {
        events: retention.events.max(limits::RING_EVENTS as u64),
        ..retention
    }
}

/// Replaces the event `seq` in the ring, if the ring has it.
pub(crate) fn replace(ring: &mut Ring<Arc<EventFrame>>, seq: Seq, event: Box<dyn DynEvent>, bytes: usize) {
    let checksum = ring.get(seq).and_then(|frame| frame.checksum());
    let frame = EventFrame::new(seq, checksum, event, Weak::new());
    ring.replace(seq, bytes + limits::EVENT_OVERHEAD, &Arc::new(frame));
}
