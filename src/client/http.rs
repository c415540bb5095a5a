//! The one HTTP request that pages make by themselves: GET, answered in JSON.

use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error("no answer: the network or the server is away")]
    Away,
    #[error("the server answered with status {0}")]
    Status(u16),
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
