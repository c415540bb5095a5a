//! The game loop in the browser: receives frames, sends inputs, and draws once per animation frame. Owns the connection,
//! prediction, interpolation, steering and renderer.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d as Context, HtmlCanvasElement};

use super::super::interpolation::Interpolation;
use super::super::model::body::TICK_RATE;
use super::super::model::recording::Recording;
use super::super::prediction::Prediction;
use super::super::wire::frame::{Frame, Role};
use super::super::wire::input::{InputMessage, RoleRequest};
use super::super::wire::{ARENA_PATH, GRACE_SECONDS};
use super::hud::Hud;
use super::labels;
use super::renderer::{Renderer, Scene};
use super::replay::ReplayPlayer;
use super::steering::Steering;
use crate::i18n::Locale;
use duplex_leptos::simulation::{ConnectionStatus, SimulationClient, SimulationConnection, SimulationTransport};

const TICK: f64 = 1000.0 / TICK_RATE as f64;
/// Maximum time step in milliseconds: caps the catch-up after a tab was suspended.
const MAX_ELAPSED: f64 = 250.0;
/// Milliseconds between two updates of the text next to the canvas.
const HUD_INTERVAL: f64 = 250.0;
/// Ticks between two acknowledgements of a viewer without a body.
const WATCHER_ACK_TICKS: u32 = 3;

pub struct Engine {
    canvas: HtmlCanvasElement,
    context: Context,
    hud: RwSignal<Hud>,
    locale: Cell<Locale>,
    state: RefCell<State>,
    connection: RefCell<Option<SimulationConnection>>,
    running: Cell<bool>,
}

#[derive(Default)]
struct State {
    prediction: Prediction,
    interpolation: Interpolation,
    steering: Steering,
    renderer: Renderer,
    replay: Option<ReplayPlayer>,
    /// The newest request, until the server acknowledges it.
    request: Option<(u32, RoleRequest)>,
    last_request: u32,
    /// The name under which the visitor plays.
    name: String,
    ack: u32,
    round_trip: Option<f64>,
    status: Option<ConnectionStatus>,
    /// The end of the grace period, if the connection was lost while playing.
    body_kept_until: Option<f64>,
    ticks: u32,
    last_frame_at: Option<f64>,
    accumulated: f64,
    last_hud_at: Option<f64>,
}

impl Engine {
    /// Starts the loop; `None` if the browser has no 2D canvas.
    pub fn start(canvas: HtmlCanvasElement, hud: RwSignal<Hud>, locale: Locale) -> Option<Rc<Self>> {
        let context = canvas.get_context("2d").ok().flatten()?.dyn_into::<Context>().ok()?;
        let engine = Rc::new(Self {
            canvas,
            context,
            hud,
            locale: Cell::new(locale),
            state: RefCell::default(),
            connection: RefCell::default(),
            running: Cell::new(true),
        });
        let viewer: Weak<dyn SimulationClient> = Rc::<Self>::downgrade(&engine);
        engine
            .connection
            .replace(Some(SimulationConnection::open(ARENA_PATH, viewer)));
        engine.schedule_frame();
        Some(engine)
    }

    pub fn stop(&self) {
        self.running.set(false);
        drop(self.connection.take());
    }

    pub fn set_locale(&self, locale: Locale) {
        self.locale.set(locale);
    }

    pub fn steer(&self, act: impl FnOnce(&mut Steering)) {
        act(&mut self.state.borrow_mut().steering);
    }

    pub fn request(&self, request: RoleRequest) {
        let mut state = self.state.borrow_mut();
        if let RoleRequest::Play(name) = &request {
            state.name.clone_from(name);
            state.replay = None;
        }
        state.set_request(request);
    }

    /// Follows this body, in the game or in the open replay.
    pub fn watch(&self, id: u16) {
        let mut state = self.state.borrow_mut();
        match &mut state.replay {
            Some(replay) => replay.follow(id),
            None => state.set_request(RoleRequest::Watch(Some(id))),
        }
    }

    /// Opens a recording; false if the file is not one.
    pub fn open_recording(&self, file: &[u8]) -> bool {
        let recording = Recording::decode(file).ok();
        let valid = recording.is_some();
        if let Some(recording) = recording {
            self.state.borrow_mut().replay = Some(ReplayPlayer::new(recording));
        }
        self.update_hud(now());
        valid
    }

    pub fn with_replay(&self, act: impl FnOnce(&mut ReplayPlayer)) {
        if let Some(replay) = &mut self.state.borrow_mut().replay {
            act(replay);
        }
        self.update_hud(now());
    }

    pub fn close_replay(&self) {
        self.state.borrow_mut().replay = None;
        self.update_hud(now());
    }

    fn schedule_frame(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        request_animation_frame(move || {
            if let Some(engine) = this.upgrade().filter(|engine| engine.running.get()) {
                engine.on_animation_frame(now());
                engine.schedule_frame();
            }
        });
    }

    fn on_animation_frame(&self, now: f64) {
        let send_due = self.state.borrow_mut().advance(now);
        if send_due && let Some(connection) = &*self.connection.borrow() {
            connection.flush();
        }
        let mut state = self.state.borrow_mut();
        state.draw(&self.canvas, &self.context, self.locale.get(), now);
        let due = state.last_hud_at.is_none_or(|last| now - last >= HUD_INTERVAL);
        drop(state);
        if due {
            self.update_hud(now);
        }
    }

    /// Updates the text next to the canvas.
    fn update_hud(&self, now: f64) {
        let mut state = self.state.borrow_mut();
        state.last_hud_at = Some(now);
        let hud = state.hud();
        self.publish_attributes(&state, &hud);
        drop(state);
        if self.running.get() && self.hud.with_untracked(|known| *known != hud) {
            self.hud.set(hud);
        }
    }

    /// Publishes the state as attributes of the canvas, for tests and scripts.
    fn publish_attributes(&self, state: &State, hud: &Hud) {
        let newest = state.interpolation.newest();
        let body = state.prediction.body();
        let (x, y) = body.map_or((0, 0), |body| (body.motion.x, body.motion.y));
        let lag = hud.round_trip.map_or_else(String::new, |lag| lag.to_string());
        for (name, value) in [
            ("data-tick", newest.map_or(0, |frame| frame.tick).to_string()),
            ("data-round", newest.map_or(0, |frame| frame.round).to_string()),
            ("data-players", hud.players.to_string()),
            ("data-own-id", body.map_or(0, |body| body.id).to_string()),
            ("data-focus", hud.focus.to_string()),
            ("data-x", x.to_string()),
            ("data-y", y.to_string()),
            ("data-mass", hud.mass.to_string()),
            ("data-lag", lag),
            ("data-role", labels::role(&hud.role).to_owned()),
            ("data-transport", labels::connection(hud.connection).0.to_owned()),
            ("data-visible-players", state.visible_players()),
        ] {
            let _ = self.canvas.set_attribute(name, &value);
        }
    }
}

impl State {
    fn set_request(&mut self, request: RoleRequest) {
        self.last_request += 1;
        self.request = Some((self.last_request, request));
    }

    /// Advances the local clock; returns whether a message is due.
    fn advance(&mut self, now: f64) -> bool {
        let elapsed = self
            .last_frame_at
            .map_or(0.0, |last| (now - last).clamp(0.0, MAX_ELAPSED));
        self.last_frame_at = Some(now);
        if let Some(replay) = &mut self.replay {
            replay.advance(elapsed);
        }
        self.accumulated += elapsed;
        let mut send_due = false;
        while self.accumulated >= TICK {
            self.accumulated -= TICK;
            self.ticks = self.ticks.wrapping_add(1);
            let input = self.steering.input();
            self.prediction.tick(input);
            send_due |= self.prediction.body().is_some()
                || self.request.is_some()
                || self.ticks.is_multiple_of(WATCHER_ACK_TICKS);
        }
        send_due
    }

    fn draw(&mut self, canvas: &HtmlCanvasElement, to: &Context, locale: Locale, now: f64) {
        self.renderer.theme.refresh(canvas, now);
        let (frames, own_body) = match &self.replay {
            Some(replay) => (Some(replay.frames()), None),
            None => (
                self.interpolation.frames_at(now),
                self.prediction
                    .body()
                    .map(|own| (*own, (self.accumulated / TICK).clamp(0.0, 1.0))),
            ),
        };
        let Some((older, newer, part)) = frames else { return };
        let scene = Scene {
            older,
            newer,
            part,
            own_body,
            locale,
        };
        self.renderer.draw(canvas, to, &scene);
    }

    fn hud(&self) -> Hud {
        let empty = Frame::default();
        let live = self.interpolation.newest();
        let frame = self.replay.as_ref().map(ReplayPlayer::frame).or(live).unwrap_or(&empty);
        let focus = frame.body(frame.focus);
        Hud {
            connection: self.status,
            role: match &self.replay {
                Some(_) => Role::Watching,
                None => without_motion(&frame.role),
            },
            mass: focus.map_or(0, |body| body.mass),
            peak: live.map_or(0, |frame| frame.peak),
            rank: frame.rank,
            players: frame.players,
            watchers: frame.watchers,
            seconds_left: frame.seconds_left,
            round_trip: self.round_trip.map(|lag| lag.round() as u32),
            focus: frame.focus,
            focus_name: focus.map(|body| body.name.to_string()).unwrap_or_default(),
            leaderboard: frame.leaderboard.clone(),
            replay: self.replay.as_ref().map(ReplayPlayer::hud),
        }
    }

    /// The visible players and their positions, as `id:x:y`, for tests.
    fn visible_players(&self) -> String {
        let bodies = self
            .interpolation
            .newest()
            .map(|frame| frame.bodies.as_slice())
            .unwrap_or_default();
        let people = bodies
            .iter()
            .filter(|body| body.id < super::super::model::world::FIRST_BOT);
        let positions = people.map(|body| [body.id, body.x, body.y].map(|part| part.to_string()).join(":"));
        positions.collect::<Vec<_>>().join(" ")
    }
}

/// The role without the values that change in every tick, so that the page does not re-render while its visitor plays.
fn without_motion(role: &Role) -> Role {
    match role {
        Role::Playing { .. } => Role::Playing {
            vx: 0,
            vy: 0,
            energy: 0,
            boosting: false,
            shield: 0,
        },
        other => other.clone(),
    }
}

impl SimulationClient for Engine {
    fn input(&self) -> Vec<u8> {
        let mut state = self.state.borrow_mut();
        let (first_input, inputs) = state.prediction.take_unsent();
        let message = InputMessage {
            ack: state.ack,
            timestamp: now() as u32,
            request: state.request.clone(),
            first_input,
            inputs,
        };
        message.encode()
    }

    fn on_frame(&self, frame: &[u8]) {
        let mut state = self.state.borrow_mut();
        let frame = Frame::decode(frame, |tick| state.interpolation.get(tick));
        let Ok(frame) = frame else {
            // Requests a full frame.
            state.ack = 0;
            return;
        };
        let now = now();
        if frame.timestamp_echo > 0 {
            let lag = f64::from(
                (now as u32)
                    .wrapping_sub(frame.timestamp_echo)
                    .saturating_sub(frame.echo_delay),
            );
            state.round_trip = Some(state.round_trip.map_or(lag, |known| known * 0.9 + lag * 0.1));
        }
        if state
            .request
            .as_ref()
            .is_some_and(|(number, _)| *number <= frame.acked_request)
        {
            state.request = None;
        }
        state.ack = frame.tick;
        state.prediction.reconcile(&frame);
        state.interpolation.push(frame, now);
    }

    /// A new connection is a new participant on the server, without the frames, inputs and requests of the last one.
    fn on_status(&self, status: ConnectionStatus) {
        let mut state = self.state.borrow_mut();
        let (played, now) = (state.prediction.body().is_some(), now());
        if played && !matches!(status, ConnectionStatus::Live(_)) {
            state
                .body_kept_until
                .get_or_insert(now + f64::from(GRACE_SECONDS) * 1000.0);
        }
        state.status = Some(status);
        state.ack = 0;
        state.round_trip = None;
        state.interpolation.clear();
        state.prediction.discard_pending();
        if let ConnectionStatus::Live(transport) = status {
            let body_kept = state.body_kept_until.take().is_some_and(|until| now < until);
            if body_kept && state.request.is_none() {
                let name = state.name.clone();
                state.set_request(RoleRequest::Play(name));
            }
            drop(state);
            if transport == SimulationTransport::WebSocket
                && let Ok(connection) = self.connection.try_borrow()
                && let Some(connection) = &*connection
            {
                connection.flush();
            }
        }
    }
}

/// Milliseconds since the page's time origin.
fn now() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}
