//! Playback of a recording in the browser, with the server's simulation code. Independent of the canvas.

use super::super::model::body::TICK_RATE;
use super::super::model::recording::{Recording, Replay};
use super::super::model::visibility::{Names, WorldSnapshot, leaderboard, view_radius};
use super::super::wire::ROUND_SECONDS;
use super::super::wire::frame::Frame;
use super::hud::ReplayHud;

const TICK: f64 = 1000.0 / TICK_RATE as f64;
/// Maximum number of ticks per animation frame: a tab that was suspended does not catch up.
const MAX_TICKS_PER_FRAME: u32 = 8;

pub struct ReplayPlayer {
    replay: Replay,
    names: Names,
    older: Frame,
    newer: Frame,
    accumulated: f64,
    playing: bool,
    followed: Option<u16>,
    verified: Option<bool>,
}

impl ReplayPlayer {
    pub fn new(recording: Recording) -> Self {
        let names = recording.names.clone();
        let mut player = Self {
            replay: Replay::new(recording),
            names,
            older: Frame::default(),
            newer: Frame::default(),
            accumulated: 0.0,
            playing: true,
            followed: None,
            verified: None,
        };
        player.jump();
        player
    }

    pub fn hud(&self) -> ReplayHud {
        ReplayHud {
            tick: self.replay.world.tick,
            ticks: self.replay.recording.ticks,
            playing: self.playing,
            verified: self.verified,
        }
    }

    pub fn frame(&self) -> &Frame {
        &self.newer
    }

    /// The frames before and after the displayed time, and the position between them from 0 to 1.
    pub fn frames(&self) -> (&Frame, &Frame, f64) {
        (&self.older, &self.newer, (self.accumulated / TICK).clamp(0.0, 1.0))
    }

    pub fn set_playing(&mut self, playing: bool) {
        if playing && self.replay.is_over() {
            self.seek(0);
        }
        self.playing = playing;
    }

    pub fn follow(&mut self, id: u16) {
        self.followed = Some(id);
        self.jump();
    }

    pub fn seek(&mut self, tick: u32) {
        self.replay.seek(tick.min(self.replay.recording.ticks));
        self.jump();
    }

    /// Advances by `elapsed` milliseconds.
    pub fn advance(&mut self, elapsed: f64) {
        if !self.playing {
            return;
        }
        self.accumulated += elapsed.min(TICK * f64::from(MAX_TICKS_PER_FRAME));
        while self.accumulated >= TICK && !self.replay.is_over() {
            self.accumulated -= TICK;
            self.replay.step();
            let frame = self.build_frame();
            self.older = std::mem::replace(&mut self.newer, frame);
        }
        if self.replay.is_over() {
            self.playing = false;
            self.verify();
        }
    }

    /// Displays the current tick without interpolating from the previous one.
    fn jump(&mut self) {
        self.newer = self.build_frame();
        self.older = self.newer.clone();
        self.accumulated = 0.0;
        self.verify();
    }

    fn verify(&mut self) {
        self.verified = self.replay.is_over().then(|| self.replay.is_verified());
    }

    fn build_frame(&self) -> Frame {
        let world = &self.replay.world;
        let snapshot = WorldSnapshot::new(world, &self.names, &[], &leaderboard(world, &self.names));
        let focus = self
            .followed
            .and_then(|id| snapshot.body(id))
            .or_else(|| snapshot.heaviest());
        let center = focus.map_or(self.newer.center, |body| (body.motion.x as u16, body.motion.y as u16));
        let mass = focus.map_or(0, |body| body.mass);
        let (bodies, motes) = snapshot.visible((center.0.into(), center.1.into()), view_radius(mass));
        Frame {
            tick: world.tick,
            seed: self.replay.recording.seed,
            seconds_left: (ROUND_SECONDS.saturating_sub(world.tick / TICK_RATE)) as u16,
            players: world.bodies().iter().filter(|body| !body.is_bot()).count() as u16,
            focus: focus.map_or(0, |body| body.id),
            rank: snapshot.rank(mass),
            center,
            bodies,
            motes,
            leaderboard: snapshot.leaderboard,
            ..Frame::default()
        }
    }
}
