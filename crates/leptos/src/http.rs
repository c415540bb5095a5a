//! HTTP requests of a page: `GET` with a JSON response, and `POST` of JSON and of bytes.
//! <https://developer.mozilla.org/docs/Web/API/Fetch_API>

use js_sys::Uint8Array;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, RequestInit, Response};

/// A failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The network or the server is unreachable, or the request timed out.
    #[error("no response: the network or the server is unreachable")]
    Unreachable,
    /// The status of a response that is not 2xx.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// Status 429 with a `Retry-After`.
    #[error("the server answered with status 429 and asks to retry later")]
    TooManyRequests {
        /// The `Retry-After` in milliseconds.
        retry_after_ms: u32,
    },
    /// The response cannot be decoded.
    #[error("the response cannot be decoded")]
    Decode,
}

/// Milliseconds to wait for the response to a posted text.
const POST_TIMEOUT: u32 = 20_000;

/// `GET path` with a JSON response. Browser only: call it from effects, event handlers and local tasks.
///
/// # Errors
///
/// If the server is unreachable, the status is not 2xx, or the response is not a `T` in JSON.
pub async fn get_json<T: DeserializeOwned>(path: &str) -> Result<T, HttpError> {
    let text = text(fetch(path, &RequestInit::new(), None).await?).await?;
    serde_json::from_str(&text).map_err(|_| HttpError::Decode)
}

/// `GET url` with a text response.
pub(crate) async fn get_text(url: &str, signal: &AbortSignal) -> Result<String, HttpError> {
    text(fetch(url, &RequestInit::new(), Some(signal)).await?).await
}

/// Posts JSON; the response is a text.
pub(crate) async fn post_json(url: &str, body: &str) -> Result<String, HttpError> {
    let options = post(&JsValue::from_str(body));
    let headers = Headers::new().map_err(|_| HttpError::Decode)?;
    let _ = headers.set("content-type", "application/json");
    options.set_headers(&headers);
    let signal = AbortSignal::timeout_with_u32(POST_TIMEOUT);
    text(fetch(url, &options, Some(&signal)).await?).await
}

/// Posts bytes; the response is bytes for status 200, `None` for 204.
pub(crate) async fn post_bytes(url: &str, body: &[u8], timeout_ms: u32) -> Result<Option<Vec<u8>>, HttpError> {
    let options = post(&Uint8Array::from(body));
    let signal = AbortSignal::timeout_with_u32(timeout_ms);
    let response = fetch(url, &options, Some(&signal)).await?;
    match response.status() {
        200 => {
            let buffer = response.array_buffer().map_err(|_| HttpError::Decode)?;
            let buffer = JsFuture::from(buffer).await.map_err(|_| HttpError::Unreachable)?;
            Ok(Some(Uint8Array::new(&buffer).to_vec()))
        }
        204 => Ok(None),
        status => Err(HttpError::Status(status)),
    }
}

fn post(body: &JsValue) -> RequestInit {
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_body(body);
    options
}

/// Sends a request. A status other than 2xx is an error.
async fn fetch(url: &str, options: &RequestInit, signal: Option<&AbortSignal>) -> Result<Response, HttpError> {
    options.set_signal(signal);
    let promise = leptos::prelude::window().fetch_with_str_and_init(url, options);
    let response = JsFuture::from(promise).await.map_err(|_| HttpError::Unreachable)?;
    let response: Response = response.dyn_into().map_err(|_| HttpError::Decode)?;
    if response.ok() {
        Ok(response)
    } else {
        Err(status_error(&response))
    }
}

async fn text(response: Response) -> Result<String, HttpError> {
    let text = response.text().map_err(|_| HttpError::Decode)?;
    let text = JsFuture::from(text).await.map_err(|_| HttpError::Unreachable)?;
    text.as_string().ok_or(HttpError::Decode)
}

fn status_error(response: &Response) -> HttpError {
    let status = response.status();
    let retry_after = response.headers().get("retry-after").ok().flatten();
    match retry_after.and_then(|seconds| seconds.parse::<u32>().ok()) {
        Some(seconds) if status == 429 => HttpError::TooManyRequests {
            retry_after_ms: seconds.saturating_mul(1000),
        },
        _ => HttpError::Status(status),
    }
}
