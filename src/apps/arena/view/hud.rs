//! The heads-up display: the text and numbers next to the canvas, updated a few times a second. Independent of the canvas.

use std::sync::Arc;

use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::super::wire::ArenaPreview;
use super::super::wire::frame::{LeaderboardRow, Role};
use super::super::wire::input::RoleRequest;
use super::engine::Engine;
use duplex_leptos::simulation::ConnectionStatus;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hud {
    /// `None` until the page connects.
    pub connection: Option<ConnectionStatus>,
    pub role: Role,
    pub mass: u32,
    pub peak: u32,
    pub rank: u16,
    pub players: u16,
    pub watchers: u16,
    /// Seconds until the round ends.
    pub seconds_left: u16,
    /// The round-trip time in milliseconds.
    pub round_trip: Option<u32>,
    pub focus: u16,
    pub focus_name: String,
    pub leaderboard: Arc<[LeaderboardRow]>,
    pub replay: Option<ReplayHud>,
}

/// The state of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayHud {
    pub tick: u32,
    pub ticks: u32,
    pub playing: bool,
    /// At the end: whether the replay came to the same world as the server.
    pub verified: Option<bool>,
}

/// The page's shared handle: the display's signal and the engine.
#[derive(Clone, Copy)]
pub struct ArenaHandle {
    pub hud: RwSignal<Hud>,
    /// `None` until the engine starts, and always on the server.
    engine: StoredValue<Option<SendWrapper<std::rc::Rc<Engine>>>>,
}

impl ArenaHandle {
    /// Creates the handle, owned by the calling component.
    pub fn new(preview: Option<ArenaPreview>) -> Self {
        let ArenaPreview { players, leaderboard } = preview.unwrap_or_default();
        let hud = Hud {
            players,
            leaderboard: leaderboard.into(),
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

    pub fn stop(&self) {
        let engine = self.engine.try_update_value(Option::take).flatten();
        if let Some(engine) = engine {
            engine.stop();
        }
    }

    pub fn with_engine(&self, act: impl FnOnce(&Engine)) {
        if let Some(Some(engine)) = self.engine.try_get_value() {
            act(&engine);
        }
    }

    pub fn request(&self, request: RoleRequest) {
        self.with_engine(|engine| engine.request(request));
    }

    /// Follows this body, in the game or in the open replay.
    pub fn watch(&self, id: u16) {
        self.with_engine(|engine| engine.watch(id));
    }

    pub fn is_playing(&self) -> bool {
        self.hud.with(|hud| matches!(hud.role, Role::Playing { .. }))
    }
}
