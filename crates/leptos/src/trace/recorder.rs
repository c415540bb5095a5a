//! Records the session's inputs and effects in the trace.

use crate::session::{Effect, Input, TopicUpdate};
use crate::trace::{EventKind, SessionTrace};
use duplex_protocol::session::{ClientFrame, ServerFrame};

impl SessionTrace {
    /// Records an input before the session handles it.
    pub(crate) fn record_input(&mut self, now: f64, input: &Input) {
        match input {
            Input::Opened { connection, .. } => self.record_event(
                now,
                EventKind::Opened {
                    connection: *connection,
                },
            ),
            Input::Closed { connection, code } => self.record_event(
                now,
                EventKind::Closed {
                    connection: *connection,
                    code: *code,
                },
            ),
            Input::Frame { frame, .. } => self.record_server_frame(now, frame),
            Input::Subscribe {
                topic,
                delivery,
                cursor,
            } => self.audit.on_subscribe(topic.clone(), *delivery, *cursor),
            Input::Unsubscribe { topic } => {
                self.audit.on_unsubscribe(topic);
                let audit = &self.audit;
                self.heads.retain(|(known, _)| audit.is_tracked(known));
            }
            _ => (),
        }
    }

    fn record_server_frame(&mut self, now: f64, frame: &ServerFrame) {
        match frame {
            ServerFrame::Welcome(welcome) => self.session = Some(welcome.session.clone()),
            ServerFrame::Verdict { topic, verdict } => self.record_verdict(now, topic, verdict),
            ServerFrame::Event { topic, seq, .. } => self.raise_head(topic, *seq),
            ServerFrame::Pong { nonce } => self.record_pong(now, *nonce),
            ServerFrame::Closing { retry_after_ms, .. } => self.record_event(
                now,
                EventKind::Closing {
                    retry_after_ms: *retry_after_ms,
                },
            ),
            ServerFrame::Reply { .. } | ServerFrame::Presence { .. } | ServerFrame::NameRejected { .. } => (),
        }
    }

    /// Records an effect before it is performed.
    pub(crate) fn record_effect(&mut self, now: f64, effect: &Effect) {
        match effect {
            Effect::Close { connection } => self.record_event(
                now,
                EventKind::ClosedLocally {
                    connection: *connection,
                },
            ),
            Effect::Send {
                // A ping with nonce 0 answers a stream's pong and measures no round trip.
                frame: ClientFrame::Ping { nonce: nonce @ 1.. },
                ..
            } => self.record_ping(now, *nonce),
            Effect::Notify { topic, update } => match update {
                TopicUpdate::State { cursor, reason, .. } => self.audit.on_state(topic, *cursor, *reason),
                TopicUpdate::Event { seq, .. } => self.audit.on_event(topic, *seq),
                TopicUpdate::Presence(_) | TopicUpdate::Status(_) | TopicUpdate::Command(..) => (),
            },
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::codec::{EncodedValue, Encoding};
    use duplex_protocol::session::Verdict;
    use duplex_protocol::topic::{Delivery, TopicName};

    #[test]
    fn deliveries_are_audited_and_heads_are_tracked() {
        let mut trace = SessionTrace::default();
        let topic: TopicName = "chat/a".parse().unwrap();
        let cursor = Some("1:4".parse().unwrap());
        let delivery = Delivery::Every;
        trace.record_input(
            0.0,
            &Input::Subscribe {
                topic: topic.clone(),
                delivery,
                cursor,
            },
        );
        let verdict = Verdict::Resumed {
            replayed: 2,
            head: "1:6".parse().unwrap(),
        };
        let frame = ServerFrame::Verdict {
            topic: topic.clone(),
            verdict,
        };
        trace.record_input(1.0, &Input::Frame { connection: 1, frame });
        assert_eq!(trace.heads, [(topic.clone(), 6)]);
        for seq in [5, 7] {
            let (encoding, event) = (Encoding::Json, EncodedValue(Vec::new()));
            let checksum = None;
            let update = TopicUpdate::Event {
                encoding,
                seq,
                checksum,
                event,
            };
            let topic = topic.clone();
            trace.record_effect(2.0, &Effect::Notify { topic, update });
        }
        let counts = trace.audit.counts();
        assert_eq!((counts.events, counts.gaps, trace.counters.replayed), (2, 1, 2));
        trace.record_input(3.0, &Input::Unsubscribe { topic });
        assert!(trace.heads.is_empty());
    }
}
