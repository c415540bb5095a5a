//! The client's frames of a fallback, each a `POST` of its own. Greetings, subscriptions and pings are not sent: the stream
//! or the poll says them by its address.

use std::rc::Rc;

use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, Headers, RequestInit, Response};

use super::{LineTap, Report, Reporter};
use crate::http::HttpError;
use crate::trace::{Carrier, Payload};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, COMMAND_PATH, ClientFrame, CommandId, Rejection, ServerFrame, SessionId};

/// Milliseconds for a post; an answer that takes longer is asked for again.
const PATIENCE: u32 = 20_000;

pub(super) struct Post {
    address: Rc<str>,
    tap: LineTap,
    report: Reporter,
}

impl Post {
    pub fn new(session: &SessionId, tap: LineTap, report: Reporter) -> Self {
        Self {
            address: format!("{COMMAND_PATH}?session={}&v=2", session.0).into(),
            tap,
            report,
        }
    }

    /// A post goes on when its line is gone: the command may have arrived, and is then sent again with the same id.
    pub fn send(&self, frame: &ClientFrame) {
        let id = match frame {
            ClientFrame::Command { id, .. } => Some(id.clone()),
            ClientFrame::Activity { .. } | ClientFrame::Rename { .. } | ClientFrame::Ping { .. } => None,
            _ => return,
        };
        let Ok(Ok(body)) = Encoding::Json.encode(frame).map(String::from_utf8) else {
            return;
        };
        self.tap.sent(Carrier::Post, Payload::Text(body.clone()));
        let (address, tap, report) = (Rc::clone(&self.address), self.tap.clone(), self.report.clone());
        spawn_local(async move {
            let answer = post(&address, &body).await;
            if let Ok(text) = &answer {
                tap.received(Carrier::Post, Payload::Text(text.clone()));
            }
            answered(answer, id, &report);
        });
    }
}

fn answered(answer: Result<String, HttpError>, id: Option<CommandId>, report: &Reporter) {
    let frame = answer.and_then(|text| {
        let frame = Encoding::Json.decode(text.as_bytes());
        frame.map_err(|_| HttpError::Unreadable)
    });
    match (frame, id) {
        (Ok(frame), _) => report(Report::Frame(frame)),
        // As over a socket.
        (Err(HttpError::Busy(_, retry_after_ms)), Some(id)) => {
            let answer = Answer::Rejected(Rejection::TooFast { retry_after_ms });
            let again = false;
            report(Report::Frame(ServerFrame::Reply { id, answer, again }));
        }
        (Err(HttpError::Status(status)), Some(id)) => report(Report::Unsent {
            id,
            status: Some(status),
        }),
        (Err(_), Some(id)) => report(Report::Unsent { id, status: None }),
        (Err(_), None) => (),
    }
}

/// A text of JSON; the body of a good answer.
pub(crate) async fn post(address: &str, body: &str) -> Result<String, HttpError> {
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_body(&JsValue::from_str(body));
    let headers = Headers::new().map_err(|_| HttpError::Unreadable)?;
    let _ = headers.set("content-type", "application/json");
    options.set_headers(&headers);
    fetch(address, &options, &AbortSignal::timeout_with_u32(PATIENCE)).await
}

/// The body of a good answer.
pub(super) async fn fetch(address: &str, options: &RequestInit, signal: &AbortSignal) -> Result<String, HttpError> {
    options.set_signal(Some(signal));
    let answer = leptos::prelude::window().fetch_with_str_and_init(address, options);
    let answer = JsFuture::from(answer).await.map_err(|_| HttpError::Away)?;
    let response: Response = answer.dyn_into().map_err(|_| HttpError::Unreadable)?;
    if !response.ok() {
        return Err(refused(&response));
    }
    let text = response.text().map_err(|_| HttpError::Unreadable)?;
    let text = JsFuture::from(text).await.map_err(|_| HttpError::Away)?;
    text.as_string().ok_or(HttpError::Unreadable)
}

/// With the wait that the server asks for, if it does.
fn refused(response: &Response) -> HttpError {
    let status = response.status();
    let wait = response.headers().get("retry-after").ok().flatten();
    match wait.and_then(|seconds| seconds.parse::<u32>().ok()) {
        Some(seconds) if status == 429 => HttpError::Busy(status, seconds.saturating_mul(1000)),
        _ => HttpError::Status(status),
    }
}

/// A request that ends when this is dropped.
#[derive(Default)]
pub(super) struct Abort(Option<AbortController>);

impl Abort {
    pub fn new() -> Self {
        Self(AbortController::new().ok())
    }

    pub fn signal(&self) -> Option<AbortSignal> {
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
