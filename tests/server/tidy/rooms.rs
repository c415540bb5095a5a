//! The rooms of the house, and who may name whom. The table of the architecture, as code.

/// Where a file stands. Applications carry their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// What crosses the network, and the part of an application that is the same on both sides.
    Shared(Option<String>),
    Ui,
    Page(String),
    AppServer(String),
    /// The parts of the server that are in no room of it.
    Server,
    /// `app.rs`: the document and the table of pages.
    App,
    /// Lists of applications, entry points and tests: they may name everything.
    Free,
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

impl Room {
    pub fn of_file(file: &str) -> Self {
        Self::of(&module(file))
    }

    fn of(module: &[&str]) -> Self {
        match module {
            ["wire", ..] => Self::Shared(None),
            ["ui", ..] => Self::Ui,
            ["apps"] | ["apps", "server", ..] => Self::Free,
            ["apps", app, "wire" | "model", ..] => Self::Shared(Some((*app).to_owned())),
            ["apps", app, "server", ..] => Self::AppServer((*app).to_owned()),
            ["apps", app, ..] => Self::Page((*app).to_owned()),
            ["server", ..] => Self::Server,
            ["app"] => Self::App,
            _ => Self::Free,
        }
    }
}

/// Why this room may not name this path, if it may not. The path begins with `crate` or with another crate's name.
pub fn forbidden(room: &Room, path: &[String]) -> Option<String> {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let allowed = match path.as_slice() {
        ["crate", rest @ ..] => may_name_own(room, rest),
        [other, ..] => may_name_crate(room, other),
        [] => true,
    };
    (!allowed).then(|| format!("is in the room {room:?} and names {}", path.join("::")))
}

fn may_name_own(room: &Room, path: &[&str]) -> bool {
    let (wire, texts) = (matches!(path, ["wire", ..]), matches!(path, ["i18n", ..]));
    // Locks are for what runs, on either side.
    if matches!(path, ["lock", ..]) {
        return !matches!(room, Room::Shared(_));
    }
    match room {
        Room::Free => true,
        Room::Shared(None) => wire,
        Room::Shared(Some(app)) => wire || is_sibling_of(app, path),
        Room::Ui => wire || texts || matches!(path, ["ui", ..]),
        Room::Page(app) => {
            let own = matches!(path, ["apps", name, rest @ ..] if name == app && !matches!(rest, ["server", ..]));
            // The list of applications, which it joins.
            let own = own || matches!(path, ["apps", "App" | "page" | "lazy_page"]);
            wire || texts || own || matches!(path, ["ui", ..])
        }
        Room::AppServer(app) => {
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
        Room::Server | Room::App => !names_application(path),
    }
}

fn is_shared_of(app: &str, path: &[&str]) -> bool {
    matches!(path, ["apps", name, "wire" | "model", ..] if *name == app)
}

/// Pure parts beside the model; what is on the page or on the server is not the same on both sides.
fn is_sibling_of(app: &str, path: &[&str]) -> bool {
    matches!(path, ["apps", name, part, ..] if *name == app && !["server", "session", "view"].contains(part))
}

fn is_own_server(app: &str, path: &[&str]) -> bool {
    matches!(path, ["apps", name, "server", ..] if *name == app)
}

/// What puts everything together names the lists in `apps`, and what they list by no name.
fn names_application(path: &[&str]) -> bool {
    matches!(path, ["apps", part, _, ..] if *part != "server")
}

fn may_name_crate(room: &Room, name: &str) -> bool {
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
    match room {
        Room::Shared(_) if name == "duplex_protocol" => true,
        Room::Shared(None) if ["serde_json", "postcard"].contains(&name) => true,
        // What Unicode says: the tables of crates on the server, the browser's own in the browser.
        Room::Shared(None) if ["unicode_normalization", "unicode_segmentation", "js_sys"].contains(&name) => true,
        Room::Shared(None) if name == "wasm_bindgen" => true,
        Room::Shared(_) => ["std", "core", "alloc", "serde", "thiserror"].contains(&name) || !is_dependency(name),
        // Routes of an application's own.
        Room::AppServer(_) if name == "axum" => true,
        // A connector is a client of somebody else's server.
        Room::AppServer(_) if name == "tokio_tungstenite" => true,
        Room::Ui | Room::Page(_) | Room::AppServer(_) | Room::App => !SERVER_ONLY.contains(&name),
        Room::Server | Room::Free => true,
    }
}

/// A path may also begin with a module or a type of the file itself; only what the manifest lists is another crate.
fn is_dependency(name: &str) -> bool {
    include_str!("../../../Cargo.toml").lines().any(|line| {
        line.split_once('=')
            .is_some_and(|(key, _)| key.trim().replace('-', "_") == name)
    })
}

#[cfg(test)]
mod tests {
    use super::super::paths::named;
    use super::*;

    fn finds(file: &str, source: &str) -> usize {
        named(source, &module(file))
            .iter()
            .filter_map(|path| forbidden(&Room::of_file(file), path))
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
                "use super::wire::Said; use duplex_axum::endpoint::Endpoint; use duplex_hub::Hub;",
            ),
            ("server/mod.rs", "use crate::apps; fn f() { apps::server::endpoints() }"),
            ("app.rs", "use crate::apps::{NAVIGATION, Pages};"),
        ] {
            assert_eq!(finds(file, source), 0, "{file}: {source}");
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
            assert_eq!(finds(file, source), 1, "{file}: {source}");
        }
    }
}
