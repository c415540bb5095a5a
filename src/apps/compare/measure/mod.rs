//! The measuring, in the visitor's browser: one line for each way, a run over all of them, and what is measured beside. Knows no
//! markup and keeps nothing.

mod documents;
mod function;
mod lines;
mod request;
pub mod run;
mod socket;
pub mod stale;
mod topic;
mod waiting;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use js_sys::Promise;
use leptos::prelude::window;
use wasm_bindgen_futures::JsFuture;

use crate::{
    apps::compare::wire::measure::{RUNS_PATH, RunCounts},
    ui::clock::now,
};
use duplex_leptos::http::get_json;

/// Milliseconds after which an exchange counts as failed.
const PATIENCE: i32 = 10_000;

/// Why an exchange, or a whole way, gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("no answer in time")]
    Slow,
    #[error("no connection")]
    Away,
    #[error("the server refused")]
    Refused,
}

/// When the answer came, by [`now`].
type Answered = Pin<Box<dyn Future<Output = Result<f64, Fault>>>>;

/// One way that is open. Dropping it closes what it opened.
trait Exchange {
    fn exchange(&self, number: u32, text: String) -> Answered;
}

/// Ends a run soon; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.load(Relaxed)
    }
}

async fn pause(millis: f64) {
    let _ = JsFuture::from(after(millis as i32)).await;
}

fn after(millis: i32) -> Promise {
    Promise::new(&mut |done, _| {
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&done, millis);
    })
}

/// Until a moment by [`now`], or the stop.
async fn pause_until(moment: f64, stop: &Stop) {
    const SLICE: f64 = 200.0;
    while now() < moment && !stop.is_stopped() {
        pause((moment - now()).clamp(0.0, SLICE)).await;
    }
}

/// What the server counted up to now; nothing if no request of the run has reached it.
async fn counts(run: &str) -> RunCounts {
    get_json(&format!("{RUNS_PATH}/{run}")).await.unwrap_or_default()
}

/// Names a run.
fn new_run() -> String {
    let mut bytes = [0_u8; 8];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    data_encoding::HEXLOWER.encode(&bytes)
}
