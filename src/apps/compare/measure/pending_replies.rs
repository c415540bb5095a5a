//! `PendingReplies`: futures that resolve when the reply with their message number arrives. Independent of the transport.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{ExchangeError, TIMEOUT_MS, now, timeout_promise};

#[derive(Clone, Default)]
pub(super) struct PendingReplies(Rc<RefCell<BTreeMap<u32, Function>>>);

impl PendingReplies {
    /// Reserved number: the transport has opened.
    pub const HANDSHAKE: u32 = u32::MAX;

    /// Registers the number immediately, not at the future's first poll. Resolves to the arrival time of its reply.
    pub fn register(&self, number: u32) -> impl Future<Output = Result<f64, ExchangeError>> + 'static {
        let reply = Promise::new(&mut |resolve, _| {
            self.0.borrow_mut().insert(number, resolve);
        });
        let first = Promise::race(&Array::of2(&reply, &timeout_promise(TIMEOUT_MS)));
        async move {
            match JsFuture::from(first).await.ok().and_then(|at| at.as_f64()) {
                None => Err(ExchangeError::TimedOut),
                Some(at) if at.is_nan() => Err(ExchangeError::Rejected),
                Some(at) => Ok(at),
            }
        }
    }

    pub fn resolve(&self, number: u32) {
        self.settle(number, now());
    }

    /// NaN marks a rejected reply.
    pub fn reject(&self, number: u32) {
        self.settle(number, f64::NAN);
    }

    fn settle(&self, number: u32, value: f64) {
        let reply = self.0.borrow_mut().remove(&number);
        if let Some(resolve) = reply {
            let _ = resolve.call1(&JsValue::UNDEFINED, &value.into());
        }
    }
}
