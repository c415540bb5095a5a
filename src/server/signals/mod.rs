//! Values that only the server sets and pages follow: the vitals, and one for each run of measurements. In the wire format of
//! `leptos_ws`, whose browser half reads them: each message is one byte, 0, and a `Messages` as JSON. The server half of `leptos_ws` is not used:
//! it lets a client set any signal (docs/upstream/leptos_ws-0.9.10.md). Knows no socket.

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

use crate::apps::server::measure::{MAX_PAYLOAD, is_run, signal_name};
use crate::lock::lock;
use crate::server::limits;
use crate::wire::vitals::{VITALS, Vitals};

/// Where the browser half of `leptos_ws` opens its socket.
pub const SIGNALS_PATH: &str = leptos_ws::LeptosWsWebsocket::PATH;

/// Before the JSON of a message that is no error (`server_fn`).
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

/// One value. Who follows it keeps no queue here, but the number of what it has.
#[derive(Debug)]
struct Signal {
    name: String,
    newest: watch::Sender<Newest>,
}

#[derive(Debug)]
struct Newest {
    number: u64,
    value: Value,
    /// The message that makes the value before this one this.
    update: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSet {
    #[error("a run has 16 lower-case hexadecimal digits")]
    NotARun,
    #[error("the text has more than {MAX_PAYLOAD} bytes, or control characters")]
    NotAText,
    #[error("too many runs are measured at the moment")]
    Full,
}

/// What a client may say.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub enum Wish {
    /// To follow the signal of this name.
    Establish(String),
    /// To follow it no longer.
    Delete(String),
}

#[derive(Deserialize)]
enum Heard {
    ServerSignal(Wish),
}

/// None: it is nothing that may be said.
pub fn parse(message: &[u8]) -> Option<Wish> {
    let json = message.strip_prefix(&[OK])?;
    let Heard::ServerSignal(wish) = serde_json::from_slice(json).ok()?;
    Some(wish)
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

    /// Sets the signal of a run; made if it is not there.
    pub fn set_run(&self, run: &str, text: &str) -> Result<(), NotSet> {
        if !is_run(run) {
            return Err(NotSet::NotARun);
        }
        if text.len() > MAX_PAYLOAD || text.chars().any(char::is_control) {
            return Err(NotSet::NotAText);
        }
        self.run(signal_name(run))?.set(Value::from(text));
        Ok(())
    }

    fn run(&self, name: String) -> Result<Arc<Signal>, NotSet> {
        let runs = &mut *self.runs();
        let now = Instant::now();
        if let Some(run) = runs.get_mut(&name) {
            run.used = now;
            return Ok(Arc::clone(&run.signal));
        }
        make_room(runs, now)?;
        let signal = Arc::new(Signal::new(name.clone(), Value::from("")));
        let run = Run {
            signal: Arc::clone(&signal),
            used: now,
        };
        runs.insert(name, run);
        Ok(signal)
    }

    /// Follows the signal of this name from now on, after the message that says its value.
    pub fn follow(&self, name: &str) -> Option<(Bytes, Follower)> {
        if name == VITALS {
            return Some(self.vitals.follow());
        }
        self.runs().get(name).map(|run| run.signal.follow())
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        lock(&self.runs)
    }
}

/// A run that is being measured does not make room: names that somebody makes up push nobody out.
fn make_room(runs: &mut HashMap<String, Run>, now: Instant) -> Result<(), NotSet> {
    runs.retain(|_, run| now - run.used < limits::SIGNAL_RUN_AGE);
    if runs.len() < limits::SIGNAL_RUNS {
        return Ok(());
    }
    let oldest = runs
        .iter()
        .filter(|(_, run)| now - run.used >= limits::SIGNAL_RUN_IDLE)
        .min_by_key(|(_, run)| run.used)
        .map(|(name, _)| name.clone());
    runs.remove(&oldest.ok_or(NotSet::Full)?);
    Ok(())
}

impl Signal {
    fn new(name: String, value: Value) -> Self {
        let newest = Newest {
            number: 0,
            value,
            update: Bytes::new(),
        };
        Self {
            name,
            newest: watch::Sender::new(newest),
        }
    }

    /// What is encoded here is sent as it is to all who follow.
    fn set(&self, value: Value) {
        self.newest.send_if_modified(|newest| {
            if newest.value == value {
                return false;
            }
            newest.update = update(&self.name, &newest.value, &value);
            newest.number += 1;
            newest.value = value;
            true
        });
    }

    fn follow(&self) -> (Bytes, Follower) {
        let newest = self.newest.subscribe();
        let (said, number) = {
            let newest = newest.borrow();
            let value = (self.name.clone(), newest.value.clone());
            (message(ServerSignalMessage::EstablishResponse(value)), newest.number)
        };
        let name = self.name.clone();
        (said, Follower { name, newest, number })
    }
}

/// Who follows a signal.
pub struct Follower {
    name: String,
    newest: watch::Receiver<Newest>,
    /// Of the value that it has.
    number: u64,
}

impl Follower {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ready when there is something to say. May be dropped and asked for again at any time.
    pub async fn changed(&mut self) {
        let number = self.number;
        // An error: the signal is gone, which is to be said as well.
        let _ = self.newest.wait_for(|newest| newest.number != number).await;
    }

    /// What is to be said, if anything: of many values only the newest. An error says that the signal is gone.
    pub fn say(&mut self) -> Result<Option<Bytes>, Bytes> {
        let newest = self.newest.borrow();
        let said = match newest.number - self.number {
            0 => None,
            1 => Some(newest.update.clone()),
            _ => Some(update(&self.name, &Value::Null, &newest.value)),
        };
        self.number = newest.number;
        drop(newest);
        if said.is_none() && self.newest.has_changed().is_err() {
            return Err(message(ServerSignalMessage::Delete(self.name.clone())));
        }
        Ok(said)
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
    // Strings and numbers in a vector: there is nothing that could fail.
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
    async fn runs_are_few_and_one_that_is_measured_makes_no_room() {
        let signals = Signals::default();
        for number in 0..limits::SIGNAL_RUNS {
            assert_eq!(signals.set_run(&name(number), "x"), Ok(()));
        }
        let one_more = name(limits::SIGNAL_RUNS);
        assert_eq!(signals.set_run(&one_more, "x"), Err(NotSet::Full));
        tokio::time::advance(limits::SIGNAL_RUN_IDLE).await;
        assert_eq!(signals.set_run(&name(0), "still measured"), Ok(()));
        assert_eq!(signals.set_run(&one_more, "x"), Ok(()));
        assert_eq!(signals.runs().len(), limits::SIGNAL_RUNS);
        assert!(signals.follow(&signal_name(&name(0))).is_some());
        tokio::time::advance(limits::SIGNAL_RUN_AGE).await;
        assert_eq!(signals.set_run(&name(limits::SIGNAL_RUNS + 1), "x"), Ok(()));
        assert_eq!(signals.runs().len(), 1, "what nobody uses is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_a_signal_that_goes_is_told() {
        let signals = Signals::default();
        signals.set_run(&name(0), "x").unwrap();
        let (_, mut follower) = signals.follow(&signal_name(&name(0))).unwrap();
        assert_eq!(follower.say(), Ok(None));
        tokio::time::advance(limits::SIGNAL_RUN_AGE).await;
        signals.set_run(&name(1), "x").unwrap();
        follower.changed().await;
        let gone = follower.say().unwrap_err();
        assert!(gone.ends_with(br#"{"ServerSignal":{"Delete":"compare/0000000000000000"}}"#));
    }

    #[test]
    fn only_two_wishes_are_read() {
        let wish = |json: &str| parse(format!("\0{json}").as_bytes());
        assert_eq!(
            wish(r#"{"ServerSignal":{"Establish":"a"}}"#),
            Some(Wish::Establish("a".to_owned()))
        );
        assert_eq!(
            wish(r#"{"ServerSignal":{"Delete":"a"}}"#),
            Some(Wish::Delete("a".to_owned()))
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
            assert_eq!(wish(json), None, "{json}");
        }
        assert_eq!(parse(br#"{"ServerSignal":{"Establish":"a"}}"#), None);
    }
}
