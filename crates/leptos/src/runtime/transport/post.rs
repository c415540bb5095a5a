//! The client's frames over a fallback, each in its own `POST`. Hello and subscriptions are not posted: they are query parameters
//! of the stream or the poll.

use std::rc::Rc;

use leptos::task::spawn_local;
use web_sys::{AbortController, AbortSignal};

use super::{ConnectionEvent, ConnectionTrace, EventSink};
use crate::http::{HttpError, post_json};
use crate::trace::{Carrier, Payload};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, COMMAND_PATH, ClientFrame, CommandId, Rejection, ServerFrame, SessionId};

pub(super) struct Post {
    url: Rc<str>,
    trace: ConnectionTrace,
    report: EventSink,
}

impl Post {
    pub(crate) fn new(session: &SessionId, trace: ConnectionTrace, report: EventSink) -> Self {
        Self {
            url: format!("{COMMAND_PATH}?session={}&v=2", session.0).into(),
            trace,
            report,
        }
    }

    /// Posts the frame. A post continues after its connection is dropped: if the command arrives, resending it with the same id has no
    /// second effect.
    pub(crate) fn send(&self, frame: &ClientFrame) {
        let id = match frame {
            ClientFrame::Command { id, .. } => Some(id.clone()),
            ClientFrame::Activity { .. } | ClientFrame::Rename { .. } | ClientFrame::Ping { .. } => None,
            _ => return,
        };
        let Ok(Ok(body)) = Encoding::Json.encode(frame).map(String::from_utf8) else {
            return;
        };
        self.trace.record_sent(Carrier::Post, Payload::Text(body.clone()));
        let (url, trace, report) = (Rc::clone(&self.url), self.trace.clone(), self.report.clone());
        spawn_local(async move {
            let response = post_json(&url, &body).await;
            if let Ok(text) = &response {
                trace.record_received(Carrier::Post, Payload::Text(text.clone()));
            }
            on_response(response, id, &report);
        });
    }
}

fn on_response(response: Result<String, HttpError>, id: Option<CommandId>, report: &EventSink) {
    let frame = response.and_then(|text| {
        let frame = Encoding::Json.decode(text.as_bytes());
        frame.map_err(|_| HttpError::Decode)
    });
    match (frame, id) {
        (Ok(frame), _) => report(ConnectionEvent::Frame(frame)),
        // Equivalent to the rejection that a WebSocket would receive.
        (Err(HttpError::TooManyRequests { retry_after_ms }), Some(id)) => {
            let answer = Answer::Rejected(Rejection::TooFast { retry_after_ms });
            let duplicate = false;
            report(ConnectionEvent::Frame(ServerFrame::Reply { id, answer, duplicate }));
        }
        (Err(HttpError::Status(status)), Some(id)) => report(ConnectionEvent::SendFailed {
            id,
            status: Some(status),
        }),
        (Err(_), Some(id)) => report(ConnectionEvent::SendFailed { id, status: None }),
        (Err(_), None) => (),
    }
}

/// Aborts its request when dropped.
#[derive(Default)]
pub(super) struct Abort(Option<AbortController>);

impl Abort {
    pub(crate) fn new() -> Self {
        Self(AbortController::new().ok())
    }

    pub(crate) fn signal(&self) -> Option<AbortSignal> {
        self.0.as_ref().map(AbortController::signal)
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}
