//! The lines, for real: one trait, three adapters over what the browser offers. Each reports what happens on it, never while
//! it is being called, and nothing after it was dropped. Knows no machine and no topic.

mod poll;
mod post;
mod sse;
mod websocket;

use std::rc::Rc;

use crate::socket::machine::now;
use crate::status::Transport;
use crate::trace::{Carrier, Payload, Tap, What};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ClientFrame, CommandId, ServerFrame, SessionId};
use duplex_protocol::topic::TopicName;

/// What happened on a line.
#[derive(Debug)]
pub(crate) enum Report {
    Opened(Encoding),
    Frame(ServerFrame),
    /// A frame could not be read.
    Unreadable,
    /// A poll was answered with so many frames.
    Answered(usize),
    /// A posted command got no frame for an answer.
    Unsent {
        id: CommandId,
        status: Option<u16>,
    },
    /// The end, with the close code or what comes nearest to it.
    Closed(u16),
}

pub(crate) use self::post::post;

pub(crate) type Reporter = Rc<dyn Fn(Report)>;

/// What passes over one line, as it is on the wire.
#[derive(Clone)]
pub(crate) struct LineTap {
    tap: Tap,
    line: u32,
}

impl LineTap {
    pub fn new(tap: &Tap, line: u32) -> Self {
        Self { tap: tap.clone(), line }
    }

    pub fn opening(&self, transport: Transport, trace: Option<String>) {
        let line = self.line;
        let what = What::Opening { line, transport, trace };
        self.tap.edit(|diary| diary.moment(now(), what));
    }

    pub fn asked(&self, carrier: Carrier, address: &str) {
        self.sent(carrier, Payload::Text(address.to_owned()));
    }

    pub fn sent(&self, carrier: Carrier, content: Payload) {
        self.tap
            .edit(|diary| diary.frame(now(), self.line, true, carrier, content));
    }

    pub fn received(&self, carrier: Carrier, content: Payload) {
        self.tap
            .edit(|diary| diary.frame(now(), self.line, false, carrier, content));
    }
}

/// Dropping a line ends it, a WebSocket with code 1000, and detaches every handler.
pub(crate) trait Line {
    fn send(&self, frame: &ClientFrame);

    /// Only of a fallback: asks for these topics instead.
    fn ask(&self, topics: &[(TopicName, Option<Cursor>)], at_once: bool);
}

pub(crate) fn open(
    transport: Transport,
    session: &SessionId,
    topics: &[(TopicName, Option<Cursor>)],
    tap: LineTap,
    report: Reporter,
) -> Box<dyn Line> {
    if transport != Transport::WebSocket {
        tap.opening(transport, None);
    }
    match transport {
        Transport::WebSocket => Box::new(websocket::Socket::open(tap, report)),
        Transport::Sse => Box::new(sse::Stream::open(session, topics, tap, report)),
        Transport::Poll => Box::new(poll::Poll::open(session, topics, tap, report)),
    }
}

/// `?session=ID&v=2&topics=chat/lobby@EPOCH:SEQ:CHECK,chat/other`: every character of it may stand in an address.
fn query(session: &SessionId, topics: &[(TopicName, Option<Cursor>)]) -> String {
    let mut query = format!("?session={}&v=2&topics=", session.0);
    for (place, (topic, cursor)) in topics.iter().enumerate() {
        if place > 0 {
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
    use duplex_protocol::cursor::{Check, Epoch};

    #[test]
    fn a_query_names_topics_and_cursors() {
        let (epoch, seq) = (Epoch::new(7), 3);
        let topics = [
            (
                "chat/lobby".parse().unwrap(),
                Some(Cursor::new(epoch, seq).with_check(Check::new(9))),
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
