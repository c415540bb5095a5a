//! Connections in a browser: one trait, and an adapter for each transport. Events are reported asynchronously, and never after the
//! adapter was dropped.

mod poll;
mod post;
mod sse;
mod websocket;

use std::rc::Rc;

use crate::runtime::clock::now;
use crate::status::Transport;
use crate::trace::{Carrier, EventKind, Payload, SharedTrace};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ClientFrame, CommandId, ServerFrame, SessionId};
use duplex_protocol::topic::TopicName;

/// An event of a connection.
#[derive(Debug)]
pub(crate) enum ConnectionEvent {
    Opened(Encoding),
    Frame(ServerFrame),
    /// A frame could not be decoded.
    Malformed,
    /// A poll was answered with this many frames.
    PollAnswered(usize),
    /// The `POST` of a command failed.
    SendFailed {
        id: CommandId,
        status: Option<u16>,
    },
    /// The connection ended, with the close code or the closest equivalent.
    Closed(u16),
}

pub(crate) type EventSink = Rc<dyn Fn(ConnectionEvent)>;

/// Records the frames of one connection.
#[derive(Clone)]
pub(crate) struct ConnectionTrace {
    trace: SharedTrace,
    connection: u32,
}

impl ConnectionTrace {
    pub(crate) fn new(trace: &SharedTrace, connection: u32) -> Self {
        Self {
            trace: trace.clone(),
            connection,
        }
    }

    pub(crate) fn record_opening(&self, transport: Transport, handshake_id: Option<String>) {
        let connection = self.connection;
        let kind = EventKind::Opening {
            connection,
            transport,
            handshake_id,
        };
        self.trace.edit(|trace| trace.record_event(now(), kind));
    }

    pub(crate) fn record_request(&self, carrier: Carrier, url: &str) {
        self.record_sent(carrier, Payload::Text(url.to_owned()));
    }

    pub(crate) fn record_sent(&self, carrier: Carrier, content: Payload) {
        self.trace
            .edit(|trace| trace.record_frame(now(), self.connection, true, carrier, content));
    }

    pub(crate) fn record_received(&self, carrier: Carrier, content: Payload) {
        self.trace
            .edit(|trace| trace.record_frame(now(), self.connection, false, carrier, content));
    }
}

/// A connection. Dropping it closes it, a WebSocket with code 1000, and detaches its handlers.
pub(crate) trait Connection {
    fn send(&self, frame: &ClientFrame);

    /// Replaces the topics that a fallback requests. No-op on a WebSocket, which subscribes with frames.
    fn request(&self, topics: &[(TopicName, Option<Cursor>)], immediate: bool);
}

pub(crate) fn open(
    transport: Transport,
    session: &SessionId,
    topics: &[(TopicName, Option<Cursor>)],
    trace: ConnectionTrace,
    report: EventSink,
) -> Box<dyn Connection> {
    if transport != Transport::WebSocket {
        trace.record_opening(transport, None);
    }
    match transport {
        Transport::WebSocket => Box::new(websocket::WebSocketConnection::open(trace, report)),
        Transport::Sse => Box::new(sse::SseConnection::open(session, topics, trace, report)),
        Transport::Poll => Box::new(poll::PollConnection::open(session, topics, trace, report)),
    }
}

/// `?session=ID&v=2&topics=chat/lobby@EPOCH:SEQ:CHECK,chat/other`: none of its characters needs escaping.
fn query(session: &SessionId, topics: &[(TopicName, Option<Cursor>)]) -> String {
    let mut query = format!("?session={}&v=2&topics=", session.0);
    for (index, (topic, cursor)) in topics.iter().enumerate() {
        if index > 0 {
            query.push(',');
        }
        query.push_str(topic.as_str());
        if let Some(cursor) = cursor {
            query.push('@');
            query.push_str(&cursor.to_string());
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::cursor::{Checksum, Epoch};

    #[test]
    fn a_query_names_topics_and_cursors() {
        let (epoch, seq) = (Epoch::new(7), 3);
        let topics = [
            (
                "chat/lobby".parse().unwrap(),
                Some(Cursor::new(epoch, seq).with_checksum(Checksum::new(9))),
            ),
            ("chat/other".parse().unwrap(), None),
        ];
        let session = SessionId("s-1".to_owned());
        assert_eq!(
            query(&session, &topics),
            "?session=s-1&v=2&topics=chat/lobby@7:3:9,chat/other"
        );
        assert_eq!(query(&session, &[]), "?session=s-1&v=2&topics=");
    }
}
