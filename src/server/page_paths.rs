//! The one address of each page: `/chat/` and `/Chat` lead to `/chat`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use duplex_axum::error::Problem;

/// The paths of all pages, with parameters as Axum writes them: `/chat/{room}`.
#[derive(Debug, Clone)]
pub struct PagePaths(Arc<[String]>);

impl PagePaths {
    pub fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        Self(paths.map(str::to_owned).collect())
    }

    /// The address of the page that this path means, if it is written in another way: with a slash at its end, with more than one
    /// between its parts, or with capital letters in the parts that are the page's own.
    fn canonical(&self, path: &str) -> Option<String> {
        let typed: Vec<&str> = parts(path).collect();
        let found = self.0.iter().find_map(|page| written_as(page, &typed))?;
        (found != path).then_some(found)
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn written_as(page: &str, typed: &[&str]) -> Option<String> {
    let own: Vec<&str> = parts(page).collect();
    if own.len() != typed.len() {
        return None;
    }
    let part = |(own, typed): (&&str, &&str)| match own.starts_with('{') {
        true => Some(format!("/{typed}")),
        false => own.eq_ignore_ascii_case(typed).then(|| format!("/{own}")),
    };
    let path: Option<String> = own.iter().zip(typed).map(part).collect();
    path.map(|path| if path.is_empty() { "/".to_owned() } else { path })
}

/// Sends whoever asks for a page by another path to its own, with the query and, by the status 308, with what they post.
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

/// Browsers take dot segments away before they ask, and so does the router, which would render another page than was asked for.
pub async fn refuse_dots(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_dot = |part: &str| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
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
        PagePaths::of(["/", "/about", "/chat", "/chat/{room}"].into_iter())
    }

    #[test]
    fn a_page_has_one_address() {
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
        /// Nobody is sent to another site, and nobody is sent twice.
        #[test]
        fn a_redirect_stays_here_and_is_the_last(path in "(/|chat|CHAT|about|\\\\|evil[.]example|%2F|[.]{1,2}|:){0,8}") {
            if let Some(to) = pages().canonical(&format!("/{path}")) {
                prop_assert!(to.starts_with('/') && !to[1..].starts_with(['/', '\\']), "{}", to);
                prop_assert_eq!(pages().canonical(&to), None);
            }
        }
    }
}
