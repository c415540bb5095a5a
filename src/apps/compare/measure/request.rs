//! HTTP requests whose query or cookie names the run and transport, so that the server counts their bytes.

use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, HtmlDocument, RequestInit, Response};

use super::{ExchangeError, TIMEOUT_MS};
use crate::apps::compare::wire::measure::LABEL_COOKIE;

/// `path?run=…&way=…` and `extra_query`.
pub(super) fn labelled(path: &str, run: &str, transport: &str, extra_query: &str) -> String {
    format!("{path}?run={run}&way={transport}{extra_query}")
}

pub(super) async fn get(url: &str) -> Result<String, ExchangeError> {
    get_until(url, &AbortSignal::timeout_with_u32(TIMEOUT_MS.unsigned_abs())).await
}

pub(super) async fn get_until(url: &str, signal: &AbortSignal) -> Result<String, ExchangeError> {
    send(url, &RequestInit::new(), signal).await
}

pub(super) async fn post(url: &str, text: &str) -> Result<String, ExchangeError> {
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_body(&JsValue::from_str(text));
    if let Ok(headers) = Headers::new() {
        let _ = headers.set("content-type", "text/plain");
        options.set_headers(&headers);
    }
    send(url, &options, &AbortSignal::timeout_with_u32(TIMEOUT_MS.unsigned_abs())).await
}

async fn send(url: &str, options: &RequestInit, signal: &AbortSignal) -> Result<String, ExchangeError> {
    options.set_signal(Some(signal));
    let response = window().fetch_with_str_and_init(url, options);
    let response = JsFuture::from(response).await.map_err(|_| ExchangeError::Unreachable)?;
    let response: Response = response.dyn_into().map_err(|_| ExchangeError::Unreachable)?;
    let text = response.text().map_err(|_| ExchangeError::Unreachable)?;
    let text = JsFuture::from(text).await.map_err(|_| ExchangeError::Unreachable)?;
    if !response.ok() {
        return Err(ExchangeError::Rejected);
    }
    text.as_string().ok_or(ExchangeError::Unreachable)
}

/// A cookie that labels the requests to one path while it lives, for URLs that the page cannot choose.
pub(super) struct LabelCookie {
    path: &'static str,
}

impl LabelCookie {
    pub fn set(path: &'static str, run: &str, transport: &str) -> Self {
        write_cookie(&format!(
            "{LABEL_COOKIE}={run}.{transport}; Path={path}; SameSite=Strict"
        ));
        Self { path }
    }
}

impl Drop for LabelCookie {
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
