//! Lets an inspector read the tab's session and request faults.

use crate::http::{HttpError, get_json, post_json};
use crate::runtime::clock;
use crate::runtime::driver::ValueKind;
use crate::runtime::tab::Tab;
use crate::session::{QueuedCommand, SubscriptionInfo};
use crate::trace::{EventKind, RequestedFault, SharedTrace};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::fault::{FAULTS_PATH, Fault, FaultReport, FaultRequest};
use duplex_protocol::session::{ClientFrame, ServerFrame, Verdict};
use duplex_protocol::topic::TopicName;

/// In place of a status, if there was no response.
const NO_RESPONSE: u16 = 0;

/// Access to the tab's session, its trace and its faults.
#[derive(Clone)]
pub struct Inspection(Tab);

/// Access to the session of the calling component's page.
///
/// # On the server
///
/// Returns an inspector of an empty session.
#[must_use]
pub fn use_inspection() -> Inspection {
    Inspection(Tab::current())
}

impl Inspection {
    /// The session's trace.
    #[must_use]
    pub fn trace(&self) -> SharedTrace {
        self.0.trace()
    }

    /// The subscriptions, by topic name.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        let driver = self.0.driver();
        driver.map_or_else(Vec::new, |driver| driver.inspect(|session| session.subscriptions()))
    }

    /// Commands without an answer, in order.
    #[must_use]
    pub fn queue(&self) -> Vec<QueuedCommand> {
        let driver = self.0.driver();
        driver.map_or_else(Vec::new, |driver| driver.inspect(|session| session.queue()))
    }

    /// Simulates an outage of `for_ms` milliseconds: closes all connections, with code 1000, and opens none. Browser only.
    pub fn go_offline(&self, for_ms: u32) {
        self.0.driver_or_start().go_offline(for_ms);
    }

    /// Asks the server to inject a fault into this session, and records the request and its result.
    ///
    /// # Errors
    ///
    /// The HTTP status of the rejection; 404 without a session, 0 without a response.
    pub async fn request_fault(&self, fault: Fault) -> Result<FaultReport, u16> {
        let session = self.trace().with(|trace| trace.session.clone()).ok_or(404_u16)?;
        let request = FaultRequest { session, fault };
        let body = serde_json::to_string(&request).map_err(|_| NO_RESPONSE)?;
        let requested_at = now();
        let response = post_json(FAULTS_PATH, &body).await;
        let report = response.map_err(status).and_then(|text| {
            let report = serde_json::from_str(&text);
            report.map_err(|_| NO_RESPONSE)
        });
        let (fault, rejected) = (RequestedFault::Server(fault), report.err());
        self.trace()
            .edit(|trace| trace.record_event(requested_at, EventKind::Fault { fault, rejected }));
        report
    }

    /// The faults that the server applies to the session, and whether it allows any; `None` without a response.
    pub async fn report(&self) -> Option<FaultReport> {
        let session = self.trace().with(|trace| trace.session.clone())?;
        get_json(&format!("{FAULTS_PATH}?session={}", session.0)).await.ok()
    }

    /// Replaces the application's value in a received frame with JSON, so that the frame can be displayed.
    pub fn decode_received(&self, frame: &mut ServerFrame, encoding: Encoding) {
        match frame {
            ServerFrame::Event { topic, event, .. } => {
                *event = self.json(topic, ValueKind::Event, encoding, event);
            }
            ServerFrame::Verdict {
                verdict: Verdict::Reset { state, .. },
                ..
            } if encoding == Encoding::Postcard => *state = size_as_json(state),
            _ => (),
        }
    }

    /// Replaces the application's value in a sent frame with JSON.
    pub fn decode_sent(&self, frame: &mut ClientFrame, encoding: Encoding) {
        if let ClientFrame::Command { topic, command, .. } = frame {
            *command = self.json(topic, ValueKind::Command, encoding, command);
        }
    }

    /// The value as JSON, or its size if no component uses the topic, since its types are then unknown.
    fn json(&self, topic: &TopicName, kind: ValueKind, encoding: Encoding, value: &EncodedValue) -> EncodedValue {
        let driver = self.0.driver();
        let json = driver.and_then(|driver| driver.to_json(topic, kind, encoding, value));
        json.map_or_else(|| size_as_json(value), |json| EncodedValue(json.into_bytes()))
    }
}

/// Milliseconds of the page's clock (`performance.now()`), as in a [`SessionTrace`](super::SessionTrace). Browser only.
#[must_use]
pub fn now() -> f64 {
    clock::now()
}

/// The size of an encoded value as a JSON string.
fn size_as_json(value: &EncodedValue) -> EncodedValue {
    EncodedValue(["\"", &value.0.len().to_string(), " B\""].concat().into_bytes())
}

fn status(error: HttpError) -> u16 {
    match error {
        HttpError::Status(status) => status,
        HttpError::TooManyRequests { .. } => 429,
        HttpError::Unreachable | HttpError::Decode => NO_RESPONSE,
    }
}
