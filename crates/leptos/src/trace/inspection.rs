//! What the inspector may see of the tab's session, and what it may do to it. Acts only in the browser.

use crate::http::{HttpError, get_json};
use crate::runtime::driver::Content;
use crate::runtime::tab::Tab;
use crate::runtime::transport::post;
pub use crate::session::{Subscribed, Unsent};
use crate::trace::{Disturbance, Tap, What};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::fault::{FAULTS_PATH, Fault, FaultReport, FaultRequest};
use duplex_protocol::handshake::Handshake;
use duplex_protocol::session::{ClientFrame, ServerFrame, Verdict};
use duplex_protocol::topic::TopicName;

/// Where no answer came, there is no status.
const NO_STATUS: u16 = 0;

#[derive(Clone)]
pub struct Inspection(Tab);

/// Of the page that the calling component is on.
pub fn use_inspection() -> Inspection {
    Inspection(Tab::current())
}

impl Inspection {
    pub fn tap(&self) -> Tap {
        self.0.tap()
    }

    pub fn subscriptions(&self) -> Vec<Subscribed> {
        let driver = self.0.running();
        driver.map_or_else(Vec::new, |driver| driver.look(|link| link.subscriptions()))
    }

    pub fn queue(&self) -> Vec<Unsent> {
        let driver = self.0.running();
        driver.map_or_else(Vec::new, |driver| driver.look(|link| link.queue()))
    }

    /// See `Driver::go_offline`.
    pub fn go_offline(&self, for_ms: u32) {
        self.0.start().go_offline(for_ms);
    }

    /// Asks the server for a fault in this session, and notes that, and whether it was refused.
    pub async fn ask(&self, fault: Fault) -> Result<FaultReport, u16> {
        let session = self.tap().with(|diary| diary.session.clone()).ok_or(404_u16)?;
        let request = FaultRequest { session, fault };
        let body = serde_json::to_string(&request).map_err(|_| NO_STATUS)?;
        let asked_at = now();
        let answer = post(FAULTS_PATH, &body).await;
        let report = answer.map_err(status).and_then(|text| {
            let report = serde_json::from_str(&text);
            report.map_err(|_| NO_STATUS)
        });
        let (fault, refused) = (Disturbance::Server(fault), report.err());
        self.tap()
            .edit(|diary| diary.moment(asked_at, What::Fault { fault, refused }));
        report
    }

    /// How the session stands with the server; none where it does not answer.
    pub async fn report(&self) -> Option<FaultReport> {
        let session = self.tap().with(|diary| diary.session.clone())?;
        get_json(&format!("{FAULTS_PATH}?session={}", session.0)).await.ok()
    }

    /// What the server saw of a WebSocket.
    pub async fn handshake(&self, trace: &str) -> Option<Handshake> {
        get_json(&format!("/api/handshake/{trace}")).await.ok()
    }

    /// The frame with its application's content as JSON.
    pub fn readable(&self, frame: &mut ServerFrame, encoding: Encoding) {
        match frame {
            ServerFrame::Event { topic, event, .. } => {
                *event = self.json(topic, Content::Event, encoding, event);
            }
            ServerFrame::Verdict {
                verdict: Verdict::Reset { state, .. },
                ..
            } if encoding == Encoding::Postcard => *state = size_of(state),
            _ => (),
        }
    }

    /// As `readable`, of what the page sent.
    pub fn readable_own(&self, frame: &mut ClientFrame, encoding: Encoding) {
        if let ClientFrame::Command { topic, command, .. } = frame {
            *command = self.json(topic, Content::Command, encoding, command);
        }
    }

    /// Only while the topic is shown somewhere is its type known here.
    fn json(&self, topic: &TopicName, content: Content, encoding: Encoding, blob: &Blob) -> Blob {
        let driver = self.0.running();
        let json = driver.and_then(|driver| driver.show(topic, content, encoding, blob));
        json.map_or_else(|| size_of(blob), |json| Blob(json.into_bytes()))
    }
}

/// The page's clock, in milliseconds.
pub fn now() -> f64 {
    crate::socket::machine::now()
}

/// What stands for a content that is not shown: its size, as a JSON string.
fn size_of(blob: &Blob) -> Blob {
    Blob(["\"", &blob.0.len().to_string(), " B\""].concat().into_bytes())
}

fn status(error: HttpError) -> u16 {
    match error {
        HttpError::Status(status) | HttpError::Busy(status, _) => status,
        HttpError::Away | HttpError::Unreadable => NO_STATUS,
    }
}
