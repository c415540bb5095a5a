//! Localized texts and keywords for names, roles and connection states.

use super::super::model::world::FIRST_BOT;
use super::super::wire::frame::Role;
use crate::{
    i18n::*,
    ui::text::{TextKey, fill, text_key},
    wire::text::isolated,
};
use duplex_leptos::simulation::{ConnectionStatus, SimulationTransport};
use duplex_protocol::person::Person;

/// The chosen name, else "guest" or "bot" with a number.
pub fn body_name(locale: Locale, id: u16, name: &str) -> String {
    if !name.is_empty() {
        return isolated(name).into_owned();
    }
    let (text, number) = if id >= FIRST_BOT {
        (td_string!(locale, arena.bot), id - FIRST_BOT)
    } else {
        (td_string!(locale, arena.guest), id)
    };
    fill(text, &[("id", &number.to_string())])
}

pub fn person_name(locale: Locale, person: &Person) -> String {
    if person.name.is_empty() {
        fill(td_string!(locale, arena.guest), &[("id", person.id.short())])
    } else {
        isolated(&person.name).into_owned()
    }
}

/// The connection's status: a keyword for style sheets and tests, and the visitor's text.
pub fn connection(status: Option<ConnectionStatus>) -> (&'static str, TextKey) {
    match status {
        None | Some(ConnectionStatus::Connecting) => ("connecting", text_key!(arena.connecting)),
        Some(ConnectionStatus::Live(SimulationTransport::WebSocket)) => ("websocket", text_key!(arena.websocket)),
        Some(ConnectionStatus::Live(SimulationTransport::Http)) => ("http", text_key!(arena.http)),
        Some(ConnectionStatus::Waiting) => ("waiting", text_key!(arena.waiting)),
        Some(ConnectionStatus::Stopped(_)) => ("stopped", text_key!(arena.stopped)),
    }
}

/// The role's keyword for style sheets and tests.
pub const fn role(role: &Role) -> &'static str {
    match role {
        Role::Watching => "watching",
        Role::Eaten { .. } => "eaten",
        Role::Elsewhere => "elsewhere",
        Role::Full => "full",
        Role::Playing { .. } => "playing",
    }
}

/// Formats seconds as minutes and seconds.
pub fn minutes_seconds(seconds: u32) -> String {
    let pad = if seconds % 60 < 10 { "0" } else { "" };
    [&(seconds / 60).to_string(), ":", pad, &(seconds % 60).to_string()].concat()
}
