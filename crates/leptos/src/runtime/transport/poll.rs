//! A session over long polling: each question brings what came since the cursors in its address, posts carry the client's
//! frames. The one transport that any proxy lets pass.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::task::spawn_local;
use web_sys::RequestInit;

use super::post::{Abort, Post, fetch};
use super::{Line, LineTap, Report, Reporter, query};
use crate::http::HttpError;
use crate::trace::{Carrier, Payload};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ClientFrame, Closing, POLL_PATH, ServerFrame, SessionId};
use duplex_protocol::topic::TopicName;

/// As the registry names it: "Forbidden".
const FORBIDDEN: u16 = 3003;

pub(super) struct Poll {
    session: SessionId,
    post: Post,
    tap: LineTap,
    report: Reporter,
    /// The question under way; a new one ends it.
    under_way: RefCell<Abort>,
    /// The number of the newest question: an older one is no longer listened to.
    newest: Rc<Cell<u32>>,
}

impl Poll {
    pub fn open(session: &SessionId, topics: &[(TopicName, Option<Cursor>)], tap: LineTap, report: Reporter) -> Self {
        let poll = Self {
            session: session.clone(),
            post: Post::new(session, tap.clone(), report.clone()),
            tap,
            report,
            under_way: RefCell::default(),
            newest: Rc::default(),
        };
        poll.ask(topics, true);
        poll
    }
}

impl Line for Poll {
    fn send(&self, frame: &ClientFrame) {
        self.post.send(frame);
    }

    fn ask(&self, topics: &[(TopicName, Option<Cursor>)], at_once: bool) {
        let wait = if at_once { "&wait=0" } else { "" };
        let address = format!("{POLL_PATH}{}{wait}", query(&self.session, topics));
        self.tap.asked(Carrier::Poll, &address);
        let number = self.newest.get().wrapping_add(1);
        self.newest.set(number);
        let abort = Abort::new();
        let signal = abort.signal();
        *self.under_way.borrow_mut() = abort;
        let (newest, tap, report) = (Rc::clone(&self.newest), self.tap.clone(), self.report.clone());
        spawn_local(async move {
            let answer = match &signal {
                Some(signal) => fetch(&address, &RequestInit::new(), signal).await,
                None => Err(HttpError::Unreadable),
            };
            if newest.get() == number {
                answered(answer, &tap, &report);
            }
        });
    }
}

fn answered(answer: Result<String, HttpError>, tap: &LineTap, report: &Reporter) {
    let frames = answer.map(|text| {
        let frames = Encoding::Json.decode::<Vec<ServerFrame>>(text.as_bytes());
        tap.received(Carrier::Poll, Payload::Text(text));
        frames
    });
    match frames {
        Ok(Ok(frames)) => {
            let count = frames.len();
            frames.into_iter().for_each(|frame| report(Report::Frame(frame)));
            report(Report::Answered(count));
        }
        Ok(Err(_)) => report(Report::Unreadable),
        // As over a socket, whose last frame says it.
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
