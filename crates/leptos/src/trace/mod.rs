//! The trace of the tab's session: frames in both directions and events in two bounded buffers, and counters since the page was
//! loaded. Frames are stored raw; decoding is deferred to the inspector, so it costs nothing until the inspector is opened.

mod delivery_audit;
mod inspection;
mod recorder;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::runtime::tab::lock;
pub use crate::session::{QueuedCommand, SubscriptionInfo};
pub use crate::socket::Payload;
use crate::status::{Phase, Transport};
pub use crate::trace::delivery_audit::{Anomaly, AnomalyKind, DeliveryAudit, DeliveryCounts};
pub use crate::trace::inspection::{Inspection, now, use_inspection};
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::fault::Fault;
use duplex_protocol::session::{SessionId, Verdict};
use duplex_protocol::topic::TopicName;

/// Bounds of the buffers: they hold minutes of a busy chat in about 1 MiB.
const MAX_FRAMES: usize = 600;
const MAX_FRAME_BYTES: usize = 1 << 20;
const MAX_EVENTS: usize = 400;
/// The content of a larger frame is dropped; it would evict everything else.
const MAX_CONTENT: usize = MAX_FRAME_BYTES / 4;
const MAX_ROUND_TRIPS: usize = 60;

/// How a frame was transmitted; determines its size on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// A WebSocket message.
    Socket,
    /// A server-sent event; for a sent entry, the stream's request URL.
    Event,
    /// The response to a poll, an array of frames; for a sent entry, the request URL.
    Poll,
    /// A posted frame, or the response to it.
    Post,
}

/// A recorded frame.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedFrame {
    /// Sequence number across frames and events.
    pub number: u64,
    /// Milliseconds of the page's clock.
    pub at: f64,
    /// The number of its connection.
    pub connection: u32,
    /// Whether the page sent it; otherwise it was received.
    pub sent: bool,
    /// How it was transmitted.
    pub carrier: Carrier,
    /// The content's size in bytes.
    pub size: usize,
    /// The content; `None` if it was too large to be kept.
    pub content: Option<Payload>,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceEvent {
    /// Sequence number across frames and events.
    pub number: u64,
    /// Milliseconds of the page's clock.
    pub at: f64,
    /// Delivery counts at that time.
    pub delivery: DeliveryCounts,
    /// The kind of event.
    pub kind: EventKind,
}

/// The kinds of events in a session.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// The session's phase changed.
    Phase {
        /// The new phase.
        phase: Phase,
        /// The current transport, or the one tried last.
        transport: Option<Transport>,
    },
    /// A connection is being opened.
    Opening {
        /// The connection's number.
        connection: u32,
        /// Its transport.
        transport: Transport,
        /// The id of a WebSocket's handshake record on the server.
        handshake_id: Option<String>,
    },
    /// The connection is open.
    Opened {
        /// The connection's number.
        connection: u32,
    },
    /// The connection was ended by the server or by the network.
    Closed {
        /// The connection's number.
        connection: u32,
        /// The close code.
        code: u16,
    },
    /// The page closed the connection.
    ClosedLocally {
        /// The connection's number.
        connection: u32,
    },
    /// The server announced that it closes the connection.
    Closing {
        /// Milliseconds after which the client may reconnect.
        retry_after_ms: u32,
    },
    /// A topic resumed from its cursor.
    Resumed {
        /// The topic's name.
        topic: TopicName,
        /// The number of replayed events.
        replayed: u64,
    },
    /// A topic received a new state.
    Reset {
        /// The topic's name.
        topic: TopicName,
    },
    /// A topic was denied.
    Denied {
        /// The topic's name.
        topic: TopicName,
    },
    /// The visitor requested a fault.
    Fault {
        /// The fault.
        fault: RequestedFault,
        /// The status of the rejection, 0 without a response; `None` if the server accepted.
        rejected: Option<u16>,
    },
    /// A simulated outage ended.
    OfflineEnded,
}

/// A fault that a visitor requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedFault {
    /// The server injects the fault into the session.
    Server(Fault),
    /// A simulated outage of this many milliseconds: the page closes its connections and opens none.
    Offline(u32),
}

/// Counters since the page was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionCounters {
    /// Frames received.
    pub frames_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Bytes of received contents, without framing.
    pub bytes_in: u64,
    /// Bytes of sent contents.
    pub bytes_out: u64,
    /// Connections opened. Serialized as `lines`, as exports of older builds have it.
    #[serde(rename = "lines")]
    pub connections: u64,
    /// Connections that the server or the network ended.
    pub lost: u64,
    /// The number of times that a topic resumed from its cursor.
    pub resumed: u64,
    /// Events replayed by these resumes.
    pub replayed: u64,
    /// Entries evicted from the buffers.
    pub dropped: u64,
}

/// The trace of a session.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SessionTrace {
    /// The newest frames, oldest first.
    pub frames: VecDeque<RecordedFrame>,
    /// The newest events, oldest first.
    pub events: VecDeque<TraceEvent>,
    /// The audit of deliveries to the page.
    pub audit: DeliveryAudit,
    /// Counters since the page was loaded.
    pub counters: SessionCounters,
    /// The newest round trips, in milliseconds.
    pub round_trips: VecDeque<f64>,
    /// The session's id: over a WebSocket the server's, over a fallback the page's.
    pub session: Option<SessionId>,
    /// The newest known seq of each topic.
    pub heads: Vec<(TopicName, Seq)>,
    bytes: usize,
    ping: Option<(u32, f64)>,
    last: Option<(Phase, Option<Transport>)>,
    /// The newest sequence number; [`version`](Self::version) returns it.
    last_number: u64,
}

/// A handle to the trace, shared by the session's driver, its connections and the inspector.
#[derive(Debug, Clone, Default)]
pub struct SharedTrace(Arc<Mutex<SessionTrace>>);

impl SharedTrace {
    /// Reads the trace. Deadlocks if the closure calls `with`.
    pub fn with<T>(&self, read: impl FnOnce(&SessionTrace) -> T) -> T {
        read(&lock(&self.0))
    }

    pub(crate) fn edit(&self, edit: impl FnOnce(&mut SessionTrace)) {
        edit(&mut lock(&self.0));
    }
}

impl SessionTrace {
    /// Incremented with each recorded entry.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.last_number
    }

    /// Records a frame. `now` is in milliseconds of the page's clock.
    pub fn record_frame(&mut self, now: f64, connection: u32, sent: bool, carrier: Carrier, content: Payload) {
        let size = content.len();
        if sent {
            self.counters.frames_out += 1;
            self.counters.bytes_out += size as u64;
        } else {
            self.counters.frames_in += 1;
            self.counters.bytes_in += size as u64;
        }
        let content = (size <= MAX_CONTENT).then_some(content);
        self.bytes += content_len(&content);
        let number = self.next();
        self.frames.push_back(RecordedFrame {
            number,
            at: now,
            connection,
            sent,
            carrier,
            size,
            content,
        });
        while self.frames.len() > MAX_FRAMES || self.bytes > MAX_FRAME_BYTES {
            let Some(old) = self.frames.pop_front() else { break };
            self.bytes -= content_len(&old.content);
            self.counters.dropped += 1;
        }
    }

    /// Records an event. `now` is in milliseconds of the page's clock.
    pub fn record_event(&mut self, now: f64, kind: EventKind) {
        match &kind {
            EventKind::Opening { .. } => self.counters.connections += 1,
            EventKind::Closed { .. } => self.counters.lost += 1,
            EventKind::Resumed { replayed, .. } => {
                self.counters.resumed += 1;
                self.counters.replayed += replayed;
            }
            _ => (),
        }
        let number = self.next();
        // An event that waited for a response is recorded late, and is inserted by its time.
        let index = self.events.partition_point(|event| event.at <= now);
        let later = self.events.get(index).map(|event| event.delivery);
        let delivery = later.unwrap_or_else(|| self.audit.counts());
        let event = TraceEvent {
            number,
            at: now,
            delivery,
            kind,
        };
        self.events.insert(index, event);
        if self.events.len() > MAX_EVENTS {
            self.events.pop_front();
            self.counters.dropped += 1;
        }
    }

    /// Records a phase that differs from the last one.
    pub(crate) fn record_phase(&mut self, now: f64, phase: Phase, transport: Option<Transport>) {
        if self.last.replace((phase, transport)) != Some((phase, transport)) {
            self.record_event(now, EventKind::Phase { phase, transport });
        }
    }

    pub(crate) fn record_verdict(&mut self, now: f64, topic: &TopicName, verdict: &Verdict) {
        let topic = topic.clone();
        let kind = match verdict {
            Verdict::Resumed { replayed, head } => {
                self.raise_head(&topic, head.seq);
                let replayed = *replayed;
                EventKind::Resumed { topic, replayed }
            }
            Verdict::Reset { cursor, .. } => {
                self.set_head(&topic, *cursor);
                EventKind::Reset { topic }
            }
            Verdict::Denied { .. } => EventKind::Denied { topic },
        };
        self.record_event(now, kind);
    }

    /// Raises the topic's head to at least `seq`.
    pub(crate) fn raise_head(&mut self, topic: &TopicName, seq: Seq) {
        match self.heads.iter_mut().find(|(known, _)| known == topic) {
            Some((_, head)) => *head = seq.max(*head),
            None => self.heads.push((topic.clone(), seq)),
        }
    }

    /// Sets the topic's head; its log may be another one.
    fn set_head(&mut self, topic: &TopicName, cursor: Cursor) {
        self.heads.retain(|(known, _)| known != topic);
        self.heads.push((topic.clone(), cursor.seq));
    }

    pub(crate) fn record_ping(&mut self, now: f64, nonce: u32) {
        self.ping = Some((nonce, now));
    }

    pub(crate) fn record_pong(&mut self, now: f64, nonce: u32) {
        let Some((_, sent)) = self.ping.filter(|(pinged, _)| *pinged == nonce) else {
            return;
        };
        self.ping = None;
        self.last_number += 1;
        self.round_trips.push_back(now - sent);
        if self.round_trips.len() > MAX_ROUND_TRIPS {
            self.round_trips.pop_front();
        }
    }

    fn next(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

fn content_len(content: &Option<Payload>) -> usize {
    content.as_ref().map_or(0, Payload::len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(size: usize) -> Payload {
        Payload::Text("x".repeat(size))
    }

    #[test]
    fn a_phase_is_recorded_once_and_a_round_trip_by_its_own_pong() {
        let mut trace = SessionTrace::default();
        trace.record_phase(1.0, Phase::Connecting, None);
        trace.record_phase(2.0, Phase::Connecting, None);
        trace.record_phase(3.0, Phase::Live, Some(Transport::Sse));
        assert_eq!(
            trace.events.iter().map(|event| event.at).collect::<Vec<_>>(),
            [1.0, 3.0]
        );
        trace.record_ping(10.0, 1);
        trace.record_pong(12.0, 7);
        trace.record_pong(15.0, 1);
        trace.record_pong(20.0, 1);
        assert_eq!(trace.round_trips, [5.0]);
    }

    #[test]
    fn an_event_recorded_late_is_inserted_by_its_time() {
        let mut trace = SessionTrace::default();
        trace.record_phase(1.0, Phase::Live, None);
        trace.record_phase(5.0, Phase::Connecting, None);
        trace.record_event(3.0, EventKind::OfflineEnded);
        let order: Vec<_> = trace.events.iter().map(|event| event.at).collect();
        assert_eq!(order, [1.0, 3.0, 5.0]);
    }

    #[test]
    fn a_head_grows_and_a_new_state_may_reset_it() {
        let mut trace = SessionTrace::default();
        let topic: TopicName = "chat/a".parse().unwrap();
        trace.raise_head(&topic, 7);
        trace.raise_head(&topic, 5);
        assert_eq!(trace.heads, [(topic.clone(), 7)]);
        trace.set_head(&topic, "9:2".parse().unwrap());
        assert_eq!(trace.heads, [(topic, 2)]);
    }

    #[test]
    fn a_large_frame_is_counted_without_its_content() {
        let mut trace = SessionTrace::default();
        trace.record_frame(0.0, 1, false, Carrier::Socket, text(MAX_CONTENT + 1));
        assert_eq!(
            (trace.frames[0].size, &trace.frames[0].content),
            (MAX_CONTENT + 1, &None)
        );
        assert_eq!(trace.counters.bytes_in, MAX_CONTENT as u64 + 1);
    }

    proptest! {
        #[test]
        fn the_rings_are_bounded_and_keep_the_newest_entries(sizes in prop::collection::vec(0usize..MAX_CONTENT + 2_000, 0..40), many in 0usize..2 * MAX_EVENTS) {
            let mut trace = SessionTrace::default();
            for size in &sizes {
                trace.record_frame(0.0, 1, true, Carrier::Socket, text(*size));
            }
            for connection in 0..many {
                trace.record_event(0.0, EventKind::ClosedLocally { connection: connection as u32 });
            }
            let bytes: usize = trace.frames.iter().map(|frame| content_len(&frame.content)).sum();
            prop_assert_eq!(bytes, trace.bytes);
            prop_assert!(bytes <= MAX_FRAME_BYTES && trace.frames.len() <= MAX_FRAMES && trace.events.len() <= MAX_EVENTS);
            prop_assert_eq!(trace.counters.frames_out, sizes.len() as u64);
            prop_assert_eq!(trace.counters.bytes_out, sizes.iter().sum::<usize>() as u64);
            let held = trace.frames.len() + trace.events.len();
            prop_assert_eq!(trace.counters.dropped as usize, sizes.len() + many - held);
            prop_assert_eq!(trace.frames.back().map(|frame| frame.size), sizes.last().copied());
        }
    }
}
