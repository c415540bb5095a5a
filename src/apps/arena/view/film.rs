//! A record that is played in the browser, by the same simulation that the server runs. Knows no canvas.

use std::sync::Arc;

use super::super::model::body::RATE;
use super::super::model::record::{Record, Replay};
use super::super::model::sight::{Names, Scene, board, half_view};
use super::super::wire::ROUND_SECONDS;
use super::super::wire::frame::View;
use super::hud::FilmHud;

const TICK: f64 = 1000.0 / RATE as f64;
/// Ticks of one picture at most: a tab that slept does not make up for it.
const MAX_TICKS: u32 = 8;

pub struct Film {
    replay: Replay,
    names: Arc<Names>,
    older: View,
    newer: View,
    rest: f64,
    runs: bool,
    followed: Option<u16>,
    is_true: Option<bool>,
}

impl Film {
    pub fn new(record: Record) -> Self {
        let names = Arc::new(record.names.clone());
        let mut film = Self {
            replay: Replay::new(record),
            names,
            older: View::default(),
            newer: View::default(),
            rest: 0.0,
            runs: true,
            followed: None,
            is_true: None,
        };
        film.cut();
        film
    }

    pub fn hud(&self) -> FilmHud {
        FilmHud {
            tick: self.replay.world.tick,
            ticks: self.replay.record.ticks,
            runs: self.runs,
            is_true: self.is_true,
        }
    }

    pub fn view(&self) -> &View {
        &self.newer
    }

    /// What is shown now: two views, and how far it is from the one to the other.
    pub fn at(&self) -> (&View, &View, f64) {
        (&self.older, &self.newer, (self.rest / TICK).clamp(0.0, 1.0))
    }

    pub fn run(&mut self, runs: bool) {
        if runs && self.replay.is_over() {
            self.seek(0);
        }
        self.runs = runs;
    }

    pub fn follow(&mut self, id: u16) {
        self.followed = Some(id);
        self.cut();
    }

    pub fn seek(&mut self, tick: u32) {
        self.replay.seek(tick.min(self.replay.record.ticks));
        self.cut();
    }

    /// `passed`: milliseconds.
    pub fn go_on(&mut self, passed: f64) {
        if !self.runs {
            return;
        }
        self.rest += passed.min(TICK * f64::from(MAX_TICKS));
        while self.rest >= TICK && !self.replay.is_over() {
            self.rest -= TICK;
            self.replay.step();
            let view = self.look();
            self.older = std::mem::replace(&mut self.newer, view);
        }
        if self.replay.is_over() {
            self.runs = false;
            self.judge();
        }
    }

    /// No way leads from what was shown to what is.
    fn cut(&mut self) {
        self.newer = self.look();
        self.older = self.newer.clone();
        self.rest = 0.0;
        self.judge();
    }

    fn judge(&mut self) {
        self.is_true = self.replay.is_over().then(|| self.replay.is_true());
    }

    fn look(&self) -> View {
        let world = &self.replay.world;
        let scene = Scene::of(world, &self.names, Vec::new(), &board(world, &self.names));
        let focus = self.followed.and_then(|id| scene.body(id)).or_else(|| scene.first());
        let at = focus.map_or(self.newer.at, |body| (body.motion.x as u16, body.motion.y as u16));
        let mass = focus.map_or(0, |body| body.mass);
        let (bodies, motes) = scene.look((at.0.into(), at.1.into()), half_view(mass));
        View {
            tick: world.tick,
            seed: self.replay.record.seed,
            left: (ROUND_SECONDS.saturating_sub(world.tick / RATE)) as u16,
            players: world.bodies().iter().filter(|body| !body.is_bot()).count() as u16,
            focus: focus.map_or(0, |body| body.id),
            rank: scene.rank(mass),
            at,
            bodies,
            motes,
            board: scene.board,
            ..View::default()
        }
    }
}
