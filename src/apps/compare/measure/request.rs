//! One HTTP request, labelled. Knows no meaning.

use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, HtmlDocument, RequestInit, Response};

use super::{Fault, PATIENCE};
use crate::apps::compare::wire::measure::LABEL_COOKIE;

/// `path?run=…&way=…` and `more`.
pub(super) fn labelled(path: &str, run: &str, way: &str, more: &str) -> String {
    format!("{path}?run={run}&way={way}{more}")
}

pub(super) async fn get(address: &str) -> Result<String, Fault> {
    get_until(address, &AbortSignal::timeout_with_u32(PATIENCE.unsigned_abs())).await
}

pub(super) async fn get_until(address: &str, signal: &AbortSignal) -> Result<String, Fault> {
    send(address, &RequestInit::new(), signal).await
}

pub(super) async fn post(address: &str, text: &str) -> Result<String, Fault> {
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_body(&JsValue::from_str(text));
    if let Ok(headers) = Headers::new() {
        let _ = headers.set("content-type", "text/plain");
        options.set_headers(&headers);
    }
    send(
        address,
        &options,
        &AbortSignal::timeout_with_u32(PATIENCE.unsigned_abs()),
    )
    .await
}

async fn send(address: &str, options: &RequestInit, signal: &AbortSignal) -> Result<String, Fault> {
    options.set_signal(Some(signal));
    let answer = window().fetch_with_str_and_init(address, options);
    let answer = JsFuture::from(answer).await.map_err(|_| Fault::Away)?;
    let response: Response = answer.dyn_into().map_err(|_| Fault::Away)?;
    let text = response.text().map_err(|_| Fault::Away)?;
    let text = JsFuture::from(text).await.map_err(|_| Fault::Away)?;
    if !response.ok() {
        return Err(Fault::Refused);
    }
    text.as_string().ok_or(Fault::Away)
}

/// Labels the requests to one path for as long as it lives, where the address is not ours to choose.
pub(super) struct Label {
    path: &'static str,
}

impl Label {
    pub fn put(path: &'static str, run: &str, way: &str) -> Self {
        write_cookie(&format!("{LABEL_COOKIE}={run}.{way}; Path={path}; SameSite=Strict"));
        Self { path }
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        write_cookie(&format!(
            "{LABEL_COOKIE}=; Max-Age=0; Path={}; SameSite=Strict",
            self.path
        ));
    }
}

fn write_cookie(cookie: &str) {
    if let Some(document) = document().dyn_ref::<HtmlDocument>() {
        let _ = document.set_cookie(cookie);
    }
}
