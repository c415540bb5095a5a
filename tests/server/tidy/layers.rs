//! The layers of the app and the imports that each may use: the table in ARCHITECTURE.md as code.

/// The layer of a file; layers of applications hold the application's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// Types that cross the network, and the part of an application that runs on both sides.
    Shared(Option<String>),
    Ui,
    Page(String),
    AppServer(String),
    /// The server without applications.
    Server,
    /// `app.rs`: the document and the table of pages.
    App,
    /// Lists of applications, entry points and tests, which may import everything.
    Unrestricted,
}

/// The module of a file: `a/mod.rs` and `a.rs` are `a`.
pub fn module(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if ["lib", "main"].contains(&path) {
        Vec::new()
    } else {
        path.split('/').collect()
    }
}

impl Layer {
    pub fn of_file(file: &str) -> Self {
        Self::of(&module(file))
    }

    fn of(module: &[&str]) -> Self {
        match module {
            ["wire", ..] => Self::Shared(None),
            ["ui", ..] => Self::Ui,
            ["apps"] | ["apps", "server", ..] => Self::Unrestricted,
            ["apps", app, "wire" | "model", ..] => Self::Shared(Some((*app).to_owned())),
            ["apps", app, "server", ..] => Self::AppServer((*app).to_owned()),
            ["apps", app, ..] => Self::Page((*app).to_owned()),
            ["server", ..] => Self::Server,
            ["app"] => Self::App,
            _ => Self::Unrestricted,
        }
    }
}

/// Returns a finding if the layer may not import the path. The path starts with `crate` or with another crate's name.
pub fn forbidden(layer: &Layer, path: &[String]) -> Option<String> {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let allowed = match path.as_slice() {
        ["crate", rest @ ..] => may_import_own(layer, rest),
        [other, ..] => may_import_crate(layer, other),
        [] => true,
    };
    (!allowed).then(|| format!("is in the layer {layer:?} and imports {}", path.join("::")))
}

fn may_import_own(layer: &Layer, path: &[&str]) -> bool {
    let (wire, texts) = (matches!(path, ["wire", ..]), matches!(path, ["i18n", ..]));
    // `lock` may be used on both sides, but not in shared types.
    if matches!(path, ["lock", ..]) {
        return !matches!(layer, Layer::Shared(_));
    }
    match layer {
        Layer::Unrestricted => true,
        Layer::Shared(None) => wire,
        Layer::Shared(Some(app)) => wire || is_sibling_of(app, path),
        Layer::Ui => wire || texts || matches!(path, ["ui", ..]),
        Layer::Page(app) => {
            let own = matches!(path, ["apps", name, rest @ ..] if name == app && !matches!(rest, ["server", ..]));
            // Types of the application registry.
            let own = own || matches!(path, ["apps", "App" | "page" | "lazy_page"]);
            wire || texts || own || matches!(path, ["ui", ..])
        }
        Layer::AppServer(app) => {
            wire || matches!(path, ["apps", "server", "AppServer"])
                || is_own_server(app, path)
                || is_shared_of(app, path)
                || matches!(
                    path,
                    [
                        "server",
                        "forms" | "limits" | "names" | "notify" | "preferences" | "state" | "tls" | "unread",
                        ..
                    ]
                )
        }
        Layer::Server | Layer::App => !names_application(path),
    }
}

fn is_shared_of(app: &str, path: &[&str]) -> bool {
    matches!(path, ["apps", name, "wire" | "model", ..] if *name == app)
}

/// A sibling module that runs on both sides: not the view, the page state or the server.
fn is_sibling_of(app: &str, path: &[&str]) -> bool {
    matches!(path, ["apps", name, part, ..] if *name == app && !["server", "state", "view"].contains(part))
}

fn is_own_server(app: &str, path: &[&str]) -> bool {
    matches!(path, ["apps", name, "server", ..] if *name == app)
}

/// Whether a path names one application; the code that assembles the app uses only the lists in `apps`.
fn names_application(path: &[&str]) -> bool {
    matches!(path, ["apps", part, _, ..] if *part != "server")
}

fn may_import_crate(layer: &Layer, name: &str) -> bool {
    const SERVER_ONLY: [&str; 8] = [
        "axum",
        "hyper",
        "hyper_util",
        "leptos_axum",
        "rusqlite",
        "async_nats",
        "tokio_tungstenite",
        "tower_http",
    ];
    match layer {
        Layer::Shared(_) if name == "duplex_protocol" => true,
        Layer::Shared(None) if ["serde_json", "postcard"].contains(&name) => true,
        // Unicode tables: crates on the server, the browser's own APIs in the browser.
        Layer::Shared(None) if ["unicode_normalization", "unicode_segmentation", "js_sys"].contains(&name) => true,
        Layer::Shared(None) if name == "wasm_bindgen" => true,
        Layer::Shared(_) => ["std", "core", "alloc", "serde", "thiserror"].contains(&name) || !is_dependency(name),
        // An application may have its own routes.
        Layer::AppServer(_) if name == "axum" => true,
        // A connector is a client of an external server.
        Layer::AppServer(_) if name == "tokio_tungstenite" => true,
        Layer::Ui | Layer::Page(_) | Layer::AppServer(_) | Layer::App => !SERVER_ONLY.contains(&name),
        Layer::Server | Layer::Unrestricted => true,
    }
}

/// Whether the manifest lists this crate. A path may also start with a module or a type of its own file.
fn is_dependency(name: &str) -> bool {
    include_str!("../../../Cargo.toml").lines().any(|line| {
        line.split_once('=')
            .is_some_and(|(key, _)| key.trim().replace('-', "_") == name)
    })
}

#[cfg(test)]
mod tests {
    use super::super::paths::paths_in;
    use super::*;

    fn findings(file: &str, source: &str) -> usize {
        paths_in(source, &module(file))
            .iter()
            .filter_map(|path| forbidden(&Layer::of_file(file), path))
            .count()
    }

    #[test]
    fn permitted_imports_are_accepted() {
        for (file, source) in [
            ("wire/notice.rs", "use serde::Serialize; use super::text; use std::fmt;"),
            (
                "apps/chat/model.rs",
                "use super::wire::Said; use duplex_protocol::cursor;",
            ),
            (
                "ui/vitals.rs",
                "use crate::{i18n::*, wire::vitals::Vitals}; use duplex_leptos::status::Phase;",
            ),
            (
                "apps/chat/view/list.rs",
                "use super::super::{model::Chat, wire}; use crate::ui::card; use duplex_leptos::topic;",
            ),
            (
                "apps/chat/server.rs",
                "use super::wire::Said; use duplex_axum::endpoint::StatelessEndpoint; use duplex_hub::Hub;",
            ),
            ("server/mod.rs", "use crate::apps; fn f() { apps::server::endpoints() }"),
            ("app.rs", "use crate::apps::{NAVIGATION, Pages};"),
        ] {
            assert_eq!(findings(file, source), 0, "{file}: {source}");
        }
    }

    #[test]
    fn a_forbidden_import_is_reported() {
        for (file, source) in [
            ("wire/frame.rs", "use leptos::prelude::*;"),
            ("wire/frame.rs", "use duplex_leptos::topic;"),
            ("wire/frame.rs", "fn f() -> tokio::time::Instant {}"),
            ("apps/chat/model.rs", "use crate::apps::market::model::Price;"),
            ("apps/chat/wire.rs", "use super::view::List;"),
            ("ui/card.rs", "use crate::server::limits;"),
            ("apps/chat/mod.rs", "use crate::apps::market;"),
            ("apps/chat/view.rs", "use super::server::decide;"),
            ("apps/chat/view.rs", "use crate::server::forms;"),
            ("apps/chat/server.rs", "use crate::server::pages;"),
            ("apps/chat/server.rs", "use crate::apps::market::wire::Price;"),
            ("server/pages.rs", "use crate::apps::echo::wire::HttpEcho;"),
            ("app.rs", "use crate::apps::echo::EchoPage;"),
        ] {
            assert_eq!(findings(file, source), 1, "{file}: {source}");
        }
    }
}
