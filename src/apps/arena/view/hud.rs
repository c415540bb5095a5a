//! What the page shows of the game in words and figures, a few times a second. Knows no canvas.

use std::sync::Arc;

use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::super::wire::Glance;
use super::super::wire::frame::{Role, Row};
use super::super::wire::turn::Wish;
use super::engine::Engine;
use duplex_leptos::simulation::ConnectionStatus;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hud {
    /// None: the page has no line yet.
    pub line: Option<ConnectionStatus>,
    pub role: Role,
    pub mass: u32,
    pub peak: u32,
    pub rank: u16,
    pub players: u16,
    pub watchers: u16,
    /// Seconds until the round ends.
    pub left: u16,
    /// The round trip, in milliseconds.
    pub lag: Option<u32>,
    pub focus: u16,
    pub focus_name: String,
    pub board: Arc<[Row]>,
    pub film: Option<FilmHud>,
}

/// A record that is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilmHud {
    pub tick: u32,
    pub ticks: u32,
    pub runs: bool,
    /// At the end: was it the game that the server had?
    pub is_true: Option<bool>,
}

/// What the page's parts share.
#[derive(Clone, Copy)]
pub struct Arena {
    pub hud: RwSignal<Hud>,
    /// None until the page is in a browser.
    engine: StoredValue<Option<SendWrapper<std::rc::Rc<Engine>>>>,
}

impl Arena {
    /// Belongs to the component that calls it.
    pub fn new(glance: Option<Glance>) -> Self {
        let Glance { players, board } = glance.unwrap_or_default();
        let hud = Hud {
            players,
            board: board.into(),
            ..Hud::default()
        };
        Self {
            hud: RwSignal::new(hud),
            engine: StoredValue::new(None),
        }
    }

    pub fn start(&self, engine: std::rc::Rc<Engine>) {
        self.engine.set_value(Some(SendWrapper::new(engine)));
    }

    pub fn end(&self) {
        let engine = self.engine.try_update_value(Option::take).flatten();
        if let Some(engine) = engine {
            engine.end();
        }
    }

    pub fn with(&self, act: impl FnOnce(&Engine)) {
        if let Some(Some(engine)) = self.engine.try_get_value() {
            act(&engine);
        }
    }

    pub fn wish(&self, wish: Wish) {
        self.with(|engine| engine.wish(wish));
    }

    /// Follows this body, in the game or in the record that is shown.
    pub fn watch(&self, id: u16) {
        self.with(|engine| engine.watch(id));
    }

    pub fn is_playing(&self) -> bool {
        self.hud.with(|hud| matches!(hud.role, Role::Playing { .. }))
    }
}
