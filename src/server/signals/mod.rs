//! Signals: server-owned values that pages subscribe to, namely the vitals and one for each measurement run. Uses the wire format
//! of `leptos_ws`, so that its client can subscribe: each message is a zero byte and a `Messages` as JSON. The server half of
//! `leptos_ws` is not used, because it lets a client set any signal (docs/upstream/leptos_ws-0.9.10.md).

pub mod socket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use leptos::server_fn::ServerFn;
use leptos_ws::messages::{Messages, ServerSignalMessage, SignalUpdate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::apps::server::measure::{MAX_PAYLOAD, is_run_id, signal_name};
use crate::lock::lock;
use crate::server::limits;
use crate::wire::vitals::{VITALS, Vitals};

/// The path at which the client of `leptos_ws` opens its socket.
pub const SIGNALS_PATH: &str = leptos_ws::LeptosWsWebsocket::PATH;

/// The byte before the JSON of a successful message (`server_fn`).
const OK: u8 = 0;

#[derive(Debug)]
pub struct Signals {
    vitals: Arc<Signal>,
    /// By the signal's name.
    runs: Mutex<HashMap<String, Run>>,
}

#[derive(Debug)]
struct Run {
    signal: Arc<Signal>,
    used: Instant,
}

/// One value. A subscriber has no queue, only the number of the last version it was sent.
#[derive(Debug)]
struct Signal {
    name: String,
    latest: watch::Sender<Version>,
}

#[derive(Debug)]
struct Version {
    number: u64,
    value: Value,
    /// The message with the patch from the previous value to this one.
    update: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetRunError {
    #[error("a run has 16 lower-case hexadecimal digits")]
    InvalidRun,
    #[error("the text has more than {MAX_PAYLOAD} bytes, or control characters")]
    InvalidText,
    #[error("too many measurement runs are active")]
    Full,
}

/// A client's message.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub enum SignalRequest {
    /// Subscribe to the signal of this name.
    Establish(String),
    /// Unsubscribe from it.
    Delete(String),
}

#[derive(Deserialize)]
enum ClientMessage {
    ServerSignal(SignalRequest),
}

/// Parses a client's message; `None` if it is not allowed.
pub fn parse(message: &[u8]) -> Option<SignalRequest> {
    let json = message.strip_prefix(&[OK])?;
    let ClientMessage::ServerSignal(request) = serde_json::from_slice(json).ok()?;
    Some(request)
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            vitals: Arc::new(Signal::new(VITALS.to_owned(), json(&Vitals::default()))),
            runs: Mutex::default(),
        }
    }
}

impl Signals {
    pub fn set_vitals(&self, vitals: &Vitals) {
        self.vitals.set(json(vitals));
    }

    /// Sets the signal of a run; creates it if needed.
    pub fn set_run(&self, run: &str, text: &str) -> Result<(), SetRunError> {
        if !is_run_id(run) {
            return Err(SetRunError::InvalidRun);
        }
        if text.len() > MAX_PAYLOAD || text.chars().any(char::is_control) {
            return Err(SetRunError::InvalidText);
        }
        self.run(signal_name(run))?.set(Value::from(text));
        Ok(())
    }

    fn run(&self, name: String) -> Result<Arc<Signal>, SetRunError> {
        let runs = &mut *self.runs();
        let now = Instant::now();
        if let Some(run) = runs.get_mut(&name) {
            run.used = now;
            return Ok(Arc::clone(&run.signal));
        }
        evict(runs, now)?;
        let signal = Arc::new(Signal::new(name.clone(), Value::from("")));
        let run = Run {
            signal: Arc::clone(&signal),
            used: now,
        };
        runs.insert(name, run);
        Ok(signal)
    }

    /// Subscribes to the signal of this name. Returns the message with its current value, and a subscription to later ones.
    pub fn subscribe(&self, name: &str) -> Option<(Bytes, SignalSubscription)> {
        if name == VITALS {
            return Some(self.vitals.subscribe());
        }
        self.runs().get(name).map(|run| run.signal.subscribe())
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        lock(&self.runs)
    }
}

/// Evicts expired runs, then the longest idle one. An active run is never evicted, so requests with made-up ids cannot displace
/// it.
fn evict(runs: &mut HashMap<String, Run>, now: Instant) -> Result<(), SetRunError> {
    runs.retain(|_, run| now - run.used < limits::SIGNAL_RUN_RETENTION);
    if runs.len() < limits::SIGNAL_RUNS {
        return Ok(());
    }
    let oldest = runs
        .iter()
        .filter(|(_, run)| now - run.used >= limits::SIGNAL_RUN_IDLE)
        .min_by_key(|(_, run)| run.used)
        .map(|(name, _)| name.clone());
    runs.remove(&oldest.ok_or(SetRunError::Full)?);
    Ok(())
}

impl Signal {
    fn new(name: String, value: Value) -> Self {
        let latest = Version {
            number: 0,
            value,
            update: Bytes::new(),
        };
        Self {
            name,
            latest: watch::Sender::new(latest),
        }
    }

    /// Sets the value. The update is encoded once, for all subscribers.
    fn set(&self, value: Value) {
        self.latest.send_if_modified(|latest| {
            if latest.value == value {
                return false;
            }
            latest.update = update(&self.name, &latest.value, &value);
            latest.number += 1;
            latest.value = value;
            true
        });
    }

    fn subscribe(&self) -> (Bytes, SignalSubscription) {
        let latest = self.latest.subscribe();
        let (established, number) = {
            let latest = latest.borrow();
            let value = (self.name.clone(), latest.value.clone());
            (message(ServerSignalMessage::EstablishResponse(value)), latest.number)
        };
        let name = self.name.clone();
        let subscription = SignalSubscription {
            name,
            latest,
            version: number,
        };
        (established, subscription)
    }
}

/// A subscription to a signal.
pub struct SignalSubscription {
    name: String,
    latest: watch::Receiver<Version>,
    /// The version that was sent last.
    version: u64,
}

impl SignalSubscription {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Completes when there is a message to send. Cancel safe.
    pub async fn changed(&mut self) {
        let version = self.version;
        // `Err` means that the signal was removed, which also produces a message.
        let _ = self.latest.wait_for(|latest| latest.number != version).await;
    }

    /// The next message, if any; several missed updates become one with the latest value.
    ///
    /// # Errors
    ///
    /// The final message, if the signal is gone.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, Bytes> {
        let latest = self.latest.borrow();
        let pending = match latest.number - self.version {
            0 => None,
            1 => Some(latest.update.clone()),
            _ => Some(update(&self.name, &Value::Null, &latest.value)),
        };
        self.version = latest.number;
        drop(latest);
        if pending.is_none() && self.latest.has_changed().is_err() {
            return Err(message(ServerSignalMessage::Delete(self.name.clone())));
        }
        Ok(pending)
    }
}

fn update(name: &str, old: &Value, new: &Value) -> Bytes {
    message(ServerSignalMessage::Update(SignalUpdate::new_from_json(
        name.to_owned(),
        old,
        new,
    )))
}

fn message(message: ServerSignalMessage) -> Bytes {
    let mut bytes = vec![OK];
    // Serializing strings and numbers to a vector cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &Messages::ServerSignal(message));
    bytes.into()
}

fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> String {
        format!("{number:016x}")
    }

    #[tokio::test(start_paused = true)]
    async fn runs_are_limited_and_one_in_use_is_not_evicted() {
        let signals = Signals::default();
        for number in 0..limits::SIGNAL_RUNS {
            assert_eq!(signals.set_run(&name(number), "x"), Ok(()));
        }
        let one_more = name(limits::SIGNAL_RUNS);
        assert_eq!(signals.set_run(&one_more, "x"), Err(SetRunError::Full));
        tokio::time::advance(limits::SIGNAL_RUN_IDLE).await;
        assert_eq!(signals.set_run(&name(0), "still measured"), Ok(()));
        assert_eq!(signals.set_run(&one_more, "x"), Ok(()));
        assert_eq!(signals.runs().len(), limits::SIGNAL_RUNS);
        assert!(signals.subscribe(&signal_name(&name(0))).is_some());
        tokio::time::advance(limits::SIGNAL_RUN_RETENTION).await;
        assert_eq!(signals.set_run(&name(limits::SIGNAL_RUNS + 1), "x"), Ok(()));
        assert_eq!(signals.runs().len(), 1, "unused runs expire");
    }

    #[tokio::test(start_paused = true)]
    async fn subscribers_are_notified_when_a_signal_expires() {
        let signals = Signals::default();
        signals.set_run(&name(0), "x").unwrap();
        let (_, mut subscription) = signals.subscribe(&signal_name(&name(0))).unwrap();
        assert_eq!(subscription.next_message(), Ok(None));
        tokio::time::advance(limits::SIGNAL_RUN_RETENTION).await;
        signals.set_run(&name(1), "x").unwrap();
        subscription.changed().await;
        let delete_message = subscription.next_message().unwrap_err();
        assert!(delete_message.ends_with(br#"{"ServerSignal":{"Delete":"compare/0000000000000000"}}"#));
    }

    #[test]
    fn only_establish_and_delete_are_accepted() {
        let request = |json: &str| parse(format!("\0{json}").as_bytes());
        assert_eq!(
            request(r#"{"ServerSignal":{"Establish":"a"}}"#),
            Some(SignalRequest::Establish("a".to_owned()))
        );
        assert_eq!(
            request(r#"{"ServerSignal":{"Delete":"a"}}"#),
            Some(SignalRequest::Delete("a".to_owned()))
        );
        for json in [
            "",
            "{}",
            "[]",
            r#"{"ServerSignal":"Establish"}"#,
            r#"{"ServerSignal":{"Establish":1}}"#,
            r#"{"ServerSignal":{"Establish":"a","Delete":"a"}}"#,
            r#"{"ServerSignal":{"Update":{"name":"a","patch":[]}}}"#,
            r#"{"BiDirectional":{"Establish":"a"}}"#,
        ] {
            assert_eq!(request(json), None, "{json}");
        }
        assert_eq!(parse(br#"{"ServerSignal":{"Establish":"a"}}"#), None);
    }
}
