//! A session over server-sent events: the stream carries the server's frames, posts carry the client's.
//! <https://developer.mozilla.org/docs/Web/API/EventSource>

use std::cell::RefCell;

use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, EventSource, MessageEvent};

use super::post::Post;
use super::{Connection, ConnectionEvent, ConnectionTrace, EventSink, query};
use crate::trace::{Carrier, Payload};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{ClientFrame, EVENTS_PATH, SessionId};
use duplex_protocol::topic::TopicName;

pub(super) struct SseConnection {
    session: SessionId,
    source: RefCell<Option<Source>>,
    post: Post,
    trace: ConnectionTrace,
    report: EventSink,
}

impl SseConnection {
    pub(crate) fn open(
        session: &SessionId,
        topics: &[(TopicName, Option<Cursor>)],
        trace: ConnectionTrace,
        report: EventSink,
    ) -> Self {
        let stream = Self {
            session: session.clone(),
            source: RefCell::default(),
            post: Post::new(session, trace.clone(), report.clone()),
            trace,
            report,
        };
        stream.request(topics, true);
        stream
    }
}

impl Connection for SseConnection {
    fn send(&self, frame: &ClientFrame) {
        self.post.send(frame);
    }

    fn request(&self, topics: &[(TopicName, Option<Cursor>)], _immediate: bool) {
        let url = format!("{EVENTS_PATH}{}", query(&self.session, topics));
        self.trace.record_request(Carrier::Event, &url);
        // The old stream is closed before the new one reports anything.
        *self.source.borrow_mut() = None;
        *self.source.borrow_mut() = Source::open(&url, self.trace.clone(), self.report.clone());
    }
}

/// One `EventSource`. The first error closes it, because its own reconnect would use the cursors of its original URL.
struct Source {
    source: EventSource,
    on_message: Closure<dyn FnMut(MessageEvent)>,
    on_error: Closure<dyn FnMut(Event)>,
}

impl Source {
    /// `None` if the browser has no `EventSource`: the connection will time out.
    fn open(url: &str, trace: ConnectionTrace, report: EventSink) -> Option<Self> {
        let source = EventSource::new(url).ok()?;
        let on_message = Closure::new({
            let report = report.clone();
            move |event: MessageEvent| {
                let text = event.data().as_string().unwrap_or_default();
                let frame = Encoding::Json.decode(text.as_bytes());
                trace.record_received(Carrier::Event, Payload::Text(text));
                report(frame.map_or(ConnectionEvent::Malformed, ConnectionEvent::Frame));
            }
        });
        let on_error = Closure::new({
            let source = source.clone();
            move |_: Event| {
                source.close();
                report(ConnectionEvent::Closed(code::ABNORMAL));
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
