//! A session over long polling: each response contains the events after the cursors in the request URL; client frames are posted.
//! Works through every proxy.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::task::spawn_local;

use super::post::{Abort, Post};
use super::{Connection, ConnectionTrace, Report, Reporter, query};
use crate::http::{HttpError, get_text};
use crate::trace::{Carrier, Payload};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ClientFrame, Closing, POLL_PATH, ServerFrame, SessionId};
use duplex_protocol::topic::TopicName;

/// "Forbidden" in the IANA registry of close codes.
const FORBIDDEN: u16 = 3003;

pub(super) struct Poll {
    session: SessionId,
    post: Post,
    trace: ConnectionTrace,
    report: Reporter,
    /// The request in flight; a new one aborts it.
    in_flight: RefCell<Abort>,
    /// The number of the latest request; responses to older ones are dropped.
    newest: Rc<Cell<u32>>,
}

impl Poll {
    pub(crate) fn open(
        session: &SessionId,
        topics: &[(TopicName, Option<Cursor>)],
        trace: ConnectionTrace,
        report: Reporter,
    ) -> Self {
        let poll = Self {
            session: session.clone(),
            post: Post::new(session, trace.clone(), report.clone()),
            trace,
            report,
            in_flight: RefCell::default(),
            newest: Rc::default(),
        };
        poll.request(topics, true);
        poll
    }
}

impl Connection for Poll {
    fn send(&self, frame: &ClientFrame) {
        self.post.send(frame);
    }

    fn request(&self, topics: &[(TopicName, Option<Cursor>)], immediate: bool) {
        let wait = if immediate { "&wait=0" } else { "" };
        let address = format!("{POLL_PATH}{}{wait}", query(&self.session, topics));
        self.trace.requested(Carrier::Poll, &address);
        let number = self.newest.get().wrapping_add(1);
        self.newest.set(number);
        let abort = Abort::new();
        let signal = abort.signal();
        *self.in_flight.borrow_mut() = abort;
        let (newest, trace, report) = (Rc::clone(&self.newest), self.trace.clone(), self.report.clone());
        spawn_local(async move {
            let response = match &signal {
                Some(signal) => get_text(&address, signal).await,
                None => Err(HttpError::Unreadable),
            };
            if newest.get() == number {
                on_response(response, &trace, &report);
            }
        });
    }
}

fn on_response(response: Result<String, HttpError>, trace: &ConnectionTrace, report: &Reporter) {
    let frames = response.map(|text| {
        let frames = Encoding::Json.decode::<Vec<ServerFrame>>(text.as_bytes());
        trace.received(Carrier::Poll, Payload::Text(text));
        frames
    });
    match frames {
        Ok(Ok(frames)) => {
            let count = frames.len();
            frames.into_iter().for_each(|frame| report(Report::Frame(frame)));
            report(Report::PollAnswered(count));
        }
        Ok(Err(_)) => report(Report::Unreadable),
        // On a WebSocket the server sends the same closing frame.
        Err(HttpError::Busy(_, retry_after_ms)) => {
            let reason = Closing::TooFast;
            report(Report::Frame(ServerFrame::Closing { reason, retry_after_ms }));
            report(Report::Closed(code::TOO_FAST));
        }
        Err(HttpError::Status(403)) => report(Report::Closed(FORBIDDEN)),
        Err(_) => report(Report::Closed(code::ABNORMAL)),
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.newest.set(self.newest.get().wrapping_add(1));
    }
}
