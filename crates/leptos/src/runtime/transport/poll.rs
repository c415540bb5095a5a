//! A session over long polling: each response contains the events after the cursors in the request URL; client frames are posted.
//! Works through every proxy.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::task::spawn_local;

use super::post::{Abort, Post};
use super::{Connection, ConnectionEvent, ConnectionTrace, EventSink, query};
use crate::http::{HttpError, get_text};
use crate::trace::{Carrier, Payload};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ClientFrame, CloseReason, POLL_PATH, ServerFrame, SessionId};
use duplex_protocol::topic::TopicName;

/// "Forbidden" in the IANA registry of close codes.
const FORBIDDEN: u16 = 3003;

pub(super) struct PollConnection {
    session: SessionId,
    post: Post,
    trace: ConnectionTrace,
    report: EventSink,
    /// The request in flight; a new one aborts it.
    in_flight: RefCell<Abort>,
    /// The number of the latest request; responses to older ones are dropped.
    latest_request: Rc<Cell<u32>>,
}

impl PollConnection {
    pub(crate) fn open(
        session: &SessionId,
        topics: &[(TopicName, Option<Cursor>)],
        trace: ConnectionTrace,
        report: EventSink,
    ) -> Self {
        let poll = Self {
            session: session.clone(),
            post: Post::new(session, trace.clone(), report.clone()),
            trace,
            report,
            in_flight: RefCell::default(),
            latest_request: Rc::default(),
        };
        poll.request(topics, true);
        poll
    }
}

impl Connection for PollConnection {
    fn send(&self, frame: &ClientFrame) {
        self.post.send(frame);
    }

    fn request(&self, topics: &[(TopicName, Option<Cursor>)], immediate: bool) {
        let wait = if immediate { "&wait=0" } else { "" };
        let url = format!("{POLL_PATH}{}{wait}", query(&self.session, topics));
        self.trace.record_request(Carrier::Poll, &url);
        let number = self.latest_request.get().wrapping_add(1);
        self.latest_request.set(number);
        let abort = Abort::new();
        let signal = abort.signal();
        *self.in_flight.borrow_mut() = abort;
        let (latest_request, trace, report) =
            (Rc::clone(&self.latest_request), self.trace.clone(), self.report.clone());
        spawn_local(async move {
            let response = match &signal {
                Some(signal) => get_text(&url, signal).await,
                None => Err(HttpError::Decode),
            };
            if latest_request.get() == number {
                on_response(response, &trace, &report);
            }
        });
    }
}

fn on_response(response: Result<String, HttpError>, trace: &ConnectionTrace, report: &EventSink) {
    let frames = response.map(|text| {
        let frames = Encoding::Json.decode::<Vec<ServerFrame>>(text.as_bytes());
        trace.record_received(Carrier::Poll, Payload::Text(text));
        frames
    });
    match frames {
        Ok(Ok(frames)) => {
            let count = frames.len();
            frames
                .into_iter()
                .for_each(|frame| report(ConnectionEvent::Frame(frame)));
            report(ConnectionEvent::PollAnswered(count));
        }
        Ok(Err(_)) => report(ConnectionEvent::Malformed),
        // On a WebSocket the server sends the same closing frame.
        Err(HttpError::TooManyRequests { retry_after_ms }) => {
            let reason = CloseReason::TooFast;
            report(ConnectionEvent::Frame(ServerFrame::Closing { reason, retry_after_ms }));
            report(ConnectionEvent::Closed(code::TOO_FAST));
        }
        Err(HttpError::Status(403)) => report(ConnectionEvent::Closed(FORBIDDEN)),
        Err(_) => report(ConnectionEvent::Closed(code::ABNORMAL)),
    }
}

impl Drop for PollConnection {
    fn drop(&mut self) {
        self.latest_request.set(self.latest_request.get().wrapping_add(1));
    }
}
