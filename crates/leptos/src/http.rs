//! The HTTP requests that pages make by themselves: GET, answered in JSON, and POST of bytes, answered in bytes.

use js_sys::Uint8Array;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, RequestInit, Response};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error("no answer: the network or the server is away")]
    Away,
    #[error("the server answered with status {0}")]
    Status(u16),
    /// And when to ask again, in milliseconds.
    #[error("the server answered with status {0}, and asks for patience")]
    Busy(u16, u32),
    #[error("the answer is not what was asked for")]
    Unreadable,
}

pub async fn get_json<T: DeserializeOwned>(path: &str) -> Result<T, HttpError> {
    let answer = JsFuture::from(leptos::prelude::window().fetch_with_str(path))
        .await
        .map_err(|_| HttpError::Away)?;
    let response: Response = answer.dyn_into().map_err(|_| HttpError::Unreadable)?;
    if !response.ok() {
        return Err(HttpError::Status(response.status()));
    }
    let text = JsFuture::from(response.text().map_err(|_| HttpError::Unreadable)?)
        .await
        .map_err(|_| HttpError::Away)?;
    let text = text.as_string().ok_or(HttpError::Unreadable)?;
    serde_json::from_str(&text).map_err(|_| HttpError::Unreadable)
}

/// None: there was nothing to answer.
pub(crate) async fn post_bytes(path: &str, body: &[u8], patience_ms: u32) -> Result<Option<Vec<u8>>, HttpError> {
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_body(&Uint8Array::from(body));
    options.set_signal(Some(&AbortSignal::timeout_with_u32(patience_ms)));
    let answer = JsFuture::from(leptos::prelude::window().fetch_with_str_and_init(path, &options))
        .await
        .map_err(|_| HttpError::Away)?;
    let response: Response = answer.dyn_into().map_err(|_| HttpError::Unreadable)?;
    match response.status() {
        204 => Ok(None),
        200 => {
            let buffer = response.array_buffer().map_err(|_| HttpError::Unreadable)?;
            let buffer = JsFuture::from(buffer).await.map_err(|_| HttpError::Away)?;
            Ok(Some(Uint8Array::new(&buffer).to_vec()))
        }
        status => Err(HttpError::Status(status)),
    }
}
