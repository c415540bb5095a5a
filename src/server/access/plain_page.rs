//! A minimal page of a heading, a text and a form, without scripts or subresources.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use uuid::Uuid;

use crate::i18n::Locale;

pub struct Page<'a> {
    pub locale: Locale,
    pub title: &'a str,
    pub text: &'a str,
    /// HTML appended after the text.
    pub form_html: &'a str,
}

const STYLE: &str = "body{font:1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color-scheme:light dark}\
    button{font:inherit;padding:.5rem 1.5rem}";

/// Renders the page. Its URL is neither sent as a referrer nor stored in caches.
pub fn respond(status: StatusCode, page: &Page<'_>) -> Response {
    let nonce = Uuid::new_v4().simple().to_string();
    let Page {
        locale,
        title,
        text,
        form_html,
    } = page;
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title} · Duplex</title><style nonce=\"{nonce}\">{STYLE}</style></head>\
         <body><h1>{title}</h1><p>{text}</p>{form_html}</body></html>\n",
        leptos_i18n::Locale::as_str(*locale),
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    response
}
