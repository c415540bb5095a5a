//! A session over server-sent events: the stream brings the server's frames, posts carry the client's.
//! <https://developer.mozilla.org/docs/Web/API/EventSource>

use std::cell::RefCell;

use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, EventSource, MessageEvent};

use super::post::Post;
use super::{Line, LineTap, Report, Reporter, query};
use crate::trace::{Carrier, Payload};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ClientFrame, EVENTS_PATH, SessionId};
use duplex_protocol::topic::TopicName;

pub(super) struct Stream {
    session: SessionId,
    source: RefCell<Option<Source>>,
    post: Post,
    tap: LineTap,
    report: Reporter,
}

impl Stream {
    pub fn open(session: &SessionId, topics: &[(TopicName, Option<Cursor>)], tap: LineTap, report: Reporter) -> Self {
        let stream = Self {
            session: session.clone(),
            source: RefCell::default(),
            post: Post::new(session, tap.clone(), report.clone()),
            tap,
            report,
        };
        stream.ask(topics, true);
        stream
    }
}

impl Line for Stream {
    fn send(&self, frame: &ClientFrame) {
        self.post.send(frame);
    }

    fn ask(&self, topics: &[(TopicName, Option<Cursor>)], _at_once: bool) {
        let address = format!("{EVENTS_PATH}{}", query(&self.session, topics));
        self.tap.asked(Carrier::Event, &address);
        // The old stream is gone before the new one speaks.
        *self.source.borrow_mut() = None;
        *self.source.borrow_mut() = Source::open(&address, self.tap.clone(), self.report.clone());
    }
}

/// One `EventSource`. It would come back by itself, but with the cursors of its beginning: the first error ends it.
struct Source {
    source: EventSource,
    on_message: Closure<dyn FnMut(MessageEvent)>,
    on_error: Closure<dyn FnMut(Event)>,
}

impl Source {
    /// None: the browser has no such thing, and patience will run out.
    fn open(address: &str, tap: LineTap, report: Reporter) -> Option<Self> {
        let source = EventSource::new(address).ok()?;
        let on_message = Closure::new({
            let report = report.clone();
            move |event: MessageEvent| {
                let text = event.data().as_string().unwrap_or_default();
                let frame = Encoding::Json.decode(text.as_bytes());
                tap.received(Carrier::Event, Payload::Text(text));
                report(frame.map_or(Report::Unreadable, Report::Frame));
            }
        });
        let on_error = Closure::new({
            let source = source.clone();
            move |_: Event| {
                source.close();
                report(Report::Closed(code::ABNORMAL));
            }
        });
        let this = Self {
            source,
            on_message,
            on_error,
        };
        this.source
            .set_onmessage(Some(this.on_message.as_ref().unchecked_ref()));
        this.source.set_onerror(Some(this.on_error.as_ref().unchecked_ref()));
        Some(this)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.source.set_onmessage(None);
        self.source.set_onerror(None);
        self.source.close();
    }
}
