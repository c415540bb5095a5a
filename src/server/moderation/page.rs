//! The response to a banned visitor: a problem document for programs, a page in the visitor's language for browsers.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::i18n::*;
use crate::server::preferences;
use crate::ui::text::fill;
use crate::ui::{calendar, escape};
use crate::wire::moderation::Ban;
use duplex_axum::error::Problem;

/// The format of the response.
#[derive(Debug, Clone, Copy)]
pub enum ResponseFormat {
    Problem,
    Page(Locale),
}

impl ResponseFormat {
    pub fn negotiate(path: &str, headers: &HeaderMap) -> Self {
        if path.starts_with("/api/") || !accepts_html(headers) {
            Self::Problem
        } else {
            Self::Page(preferences::locale(headers))
        }
    }

    pub fn response(self, ban: &Ban) -> Response {
        match self {
            Self::Page(locale) => page(ban, locale),
            Self::Problem => {
                let until = ban.until.map(|until| format!(" until {}", date(until)));
                let until = until.unwrap_or_default();
                let detail = format!("The operator of this server has banned you{until}.");
                Problem::new(StatusCode::FORBIDDEN, detail).into_response()
            }
        }
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"))
}

fn page(ban: &Ban, locale: Locale) -> Response {
    let text = match ban.until {
        Some(until) => fill(td_string!(locale, moderation.banned_until), &[("until", &date(until))]),
        None => td_string!(locale, moderation.banned).to_owned(),
    };
    let reason = match escape::text(&ban.reason) {
        reason if reason.is_empty() => String::new(),
        reason => format!("<p>{}: <bdi>{reason}</bdi></p>", td_string!(locale, moderation.reason)),
    };
    let title = td_string!(locale, moderation.banned_title);
    let html = format!(
        "<!DOCTYPE html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · Duplex</title></head>\
         <body><main><h1>{title}</h1><p>{text}</p>{reason}</main></body></html>",
        locale.as_str()
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let head = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::FORBIDDEN, head, html).into_response()
}

/// A date in UTC, because the server does not know the visitor's time zone.
fn date(millis: u64) -> String {
    calendar::iso(millis)
}
