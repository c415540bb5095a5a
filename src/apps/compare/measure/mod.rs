//! The measurements in the visitor's browser: an implementation of each transport, a run over all of them, and the document and
//! staleness measurements. Contains no markup and stores nothing.

mod documents;
mod function;
mod http;
mod pending_replies;
mod request;
pub mod run;
mod socket;
pub mod staleness;
mod topic;

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

/// Milliseconds after which an exchange fails.
const TIMEOUT_MS: i32 = 10_000;

/// Milliseconds until the server has counted the close frames of closed connections.
const CLOSE_DELAY_MS: f64 = 100.0;

/// Why an exchange or opening a transport failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    #[error("no reply in time")]
    TimedOut,
    #[error("no connection")]
    Unreachable,
    #[error("the server rejected the request or sent an unexpected reply")]
    Rejected,
}

/// Resolves to the arrival time of the reply, as of [`now`].
type ExchangeFuture = Pin<Box<dyn Future<Output = Result<f64, ExchangeError>>>>;

/// One round trip over an open transport: sends a message and resolves when its reply arrives. Dropping the transport closes its
/// connections.
trait Exchange {
    fn exchange(&self, number: u32, text: String) -> ExchangeFuture;
}

/// A flag that stops a run; clones share it.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub fn stop(&self) {
        self.0.store(true, Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.load(Relaxed)
    }
}

async fn sleep(millis: f64) {
    let _ = JsFuture::from(timeout_promise(millis as i32)).await;
}

fn timeout_promise(millis: i32) -> Promise {
    Promise::new(&mut |done, _| {
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&done, millis);
    })
}

/// Sleeps until `deadline`, in [`now`]'s milliseconds, or until the run is stopped.
async fn sleep_until(deadline: f64, stop: &StopFlag) {
    const SLICE: f64 = 200.0;
    while now() < deadline && !stop.is_stopped() {
        sleep((deadline - now()).clamp(0.0, SLICE)).await;
    }
}

/// The server's counts of the run so far; empty if no request of the run has reached it.
async fn fetch_counts(run: &str) -> RunCounts {
    get_json(&format!("{RUNS_PATH}/{run}")).await.unwrap_or_default()
}

/// A random id for a run.
fn new_run_id() -> String {
    let mut bytes = [0_u8; 8];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    data_encoding::HEXLOWER.encode(&bytes)
}
