//! Those who wait for a message of their number. Knows no line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{Fault, PATIENCE, after, now};

#[derive(Clone, Default)]
pub(super) struct Waiting(Rc<RefCell<BTreeMap<u32, Function>>>);

impl Waiting {
    /// Waits from now on, whenever the future is asked.
    pub fn wait(&self, number: u32) -> impl Future<Output = Result<f64, Fault>> + 'static {
        let came = Promise::new(&mut |resolve, _| {
            self.0.borrow_mut().insert(number, resolve);
        });
        let first = Promise::race(&Array::of2(&came, &after(PATIENCE)));
        async move {
            match JsFuture::from(first).await.ok().and_then(|at| at.as_f64()) {
                None => Err(Fault::Slow),
                Some(at) if at.is_nan() => Err(Fault::Refused),
                Some(at) => Ok(at),
            }
        }
    }

    pub fn came(&self, number: u32) {
        self.tell(number, now());
    }

    pub fn refused(&self, number: u32) {
        self.tell(number, f64::NAN);
    }

    fn tell(&self, number: u32, what: f64) {
        let waiting = self.0.borrow_mut().remove(&number);
        if let Some(resolve) = waiting {
            let _ = resolve.call1(&JsValue::UNDEFINED, &what.into());
        }
    }
}
