//! Canonical paths of pages: `/chat/` and `/Chat` redirect to `/chat`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use duplex_axum::error::Problem;

/// The paths of all pages, in Axum's syntax: `/chat/{room}`.
#[derive(Debug, Clone)]
pub struct PagePaths(Arc<[String]>);

impl PagePaths {
    pub fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        Self(paths.map(str::to_owned).collect())
    }

    /// The canonical path of a page, if `path` is another spelling of it: with a trailing slash, with repeated slashes, or with
    /// capital letters in its static segments.
    fn canonical(&self, path: &str) -> Option<String> {
        let typed: Vec<&str> = segments(path).collect();
        let found = self.0.iter().find_map(|page| match_page(page, &typed))?;
        (found != path).then_some(found)
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn match_page(page: &str, typed: &[&str]) -> Option<String> {
    let pattern: Vec<&str> = segments(page).collect();
    if pattern.len() != typed.len() {
        return None;
    }
    let segment = |(pattern, typed): (&&str, &&str)| match pattern.starts_with('{') {
        true => Some(format!("/{typed}")),
        false => pattern.eq_ignore_ascii_case(typed).then(|| format!("/{pattern}")),
    };
    let path: Option<String> = pattern.iter().zip(typed).map(segment).collect();
    path.map(|path| if path.is_empty() { "/".to_owned() } else { path })
}

/// Middleware that redirects to the canonical path of a page. Keeps the query; status 308 preserves method and body.
pub async fn redirect(State(pages): State<PagePaths>, request: Request, next: Next) -> Response {
    let uri = request.uri();
    let Some(mut location) = pages.canonical(uri.path()) else {
        return next.run(request).await;
    };
    if let Some(query) = uri.query() {
        location.extend(["?", query]);
    }
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
}

/// Middleware that rejects dot segments. Browsers resolve them before sending; Leptos's router would resolve them again and
/// render a different page.
pub async fn reject_dot_segments(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_dot = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    if path.split('/').any(is_dot) {
        return Problem::not_found(format!("There is nothing at {path}.")).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pages() -> PagePaths {
        PagePaths::new(["/", "/about", "/chat", "/chat/{room}"].into_iter())
    }

    #[test]
    fn other_spellings_have_a_canonical_path() {
        for (typed, canonical) in [
            ("//", Some("/")),
            ("/chat/", Some("/chat")),
            ("//chat", Some("/chat")),
            ("/CHAT", Some("/chat")),
            ("/Chat//Room/", Some("/chat/Room")),
            ("/chat/room/", Some("/chat/room")),
            ("/", None),
            ("/chat", None),
            ("/chat/Room", None),
            ("//evil.example/", None),
            ("//evil.example/chat", None),
            ("/chat/a/b", None),
            ("/abouts", None),
        ] {
            assert_eq!(pages().canonical(typed).as_deref(), canonical, "{typed}");
        }
    }

    proptest! {
        /// A redirect never leads to another site, nor to another redirect.
        #[test]
        fn a_redirect_stays_on_this_site_and_is_final(path in "(/|chat|CHAT|about|\\\\|evil[.]example|%2F|[.]{1,2}|:){0,8}") {
            if let Some(to) = pages().canonical(&format!("/{path}")) {
                prop_assert!(to.starts_with('/') && !to[1..].starts_with(['/', '\\']), "{}", to);
                prop_assert_eq!(pages().canonical(&to), None);
            }
        }
    }
}
