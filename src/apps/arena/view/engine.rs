//! The game in the browser: frames come in, intents go out, a picture is drawn as often as the screen shows one. Holds what
//! the pure parts need to meet: the line, the pilot, the past, the painter.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d as Context, HtmlCanvasElement};

use super::super::model::body::RATE;
use super::super::model::record::Record;
use super::super::past::Past;
use super::super::pilot::Pilot;
use super::super::wire::frame::{Role, View};
use super::super::wire::turn::{Turn, Wish};
use super::super::wire::{ARENA_PATH, HELD_SECONDS};
use super::film::Film;
use super::hud::Hud;
use super::paint::{Painter, Scene};
use super::steering::Steering;
use super::words;
use crate::i18n::Locale;
use duplex_leptos::simulation::{ConnectionStatus, Participant, SimulationConnection, SimulationTransport};

const TICK: f64 = 1000.0 / RATE as f64;
/// A tab that slept does not make up for more than this, in milliseconds.
const MAX_PASSED: f64 = 250.0;
/// Words and figures change this often: more could not be read.
const HUD_EVERY: f64 = 250.0;
/// A viewer without a body acknowledges frames this often, in ticks.
const WATCHER_SAYS: u32 = 3;

pub struct Engine {
    canvas: HtmlCanvasElement,
    context: Context,
    hud: RwSignal<Hud>,
    locale: Cell<Locale>,
    state: RefCell<State>,
    line: RefCell<Option<SimulationConnection>>,
    alive: Cell<bool>,
}

#[derive(Default)]
struct State {
    pilot: Pilot,
    past: Past,
    steering: Steering,
    painter: Painter,
    film: Option<Film>,
    /// The newest wish, until the server has heard it.
    wish: Option<(u32, Wish)>,
    wishes: u32,
    /// The name under which the visitor plays.
    name: String,
    ack: u32,
    lag: Option<f64>,
    status: Option<ConnectionStatus>,
    /// The line was lost with a body that is kept for its player until then.
    kept_until: Option<f64>,
    ticks: u32,
    drawn: Option<f64>,
    rest: f64,
    shown: Option<f64>,
}

impl Engine {
    /// None: the browser has no canvas to draw on.
    pub fn start(canvas: HtmlCanvasElement, hud: RwSignal<Hud>, locale: Locale) -> Option<Rc<Self>> {
        let context = canvas.get_context("2d").ok().flatten()?.dyn_into::<Context>().ok()?;
        let engine = Rc::new(Self {
            canvas,
            context,
            hud,
            locale: Cell::new(locale),
            state: RefCell::default(),
            line: RefCell::default(),
            alive: Cell::new(true),
        });
        let viewer: Weak<dyn Participant> = Rc::<Self>::downgrade(&engine);
        engine
            .line
            .replace(Some(SimulationConnection::open(ARENA_PATH, viewer)));
        engine.again();
        Some(engine)
    }

    pub fn end(&self) {
        self.alive.set(false);
        drop(self.line.take());
    }

    pub fn speak(&self, locale: Locale) {
        self.locale.set(locale);
    }

    pub fn steer(&self, act: impl FnOnce(&mut Steering)) {
        act(&mut self.state.borrow_mut().steering);
    }

    pub fn wish(&self, wish: Wish) {
        let mut state = self.state.borrow_mut();
        if let Wish::Play(name) = &wish {
            state.name.clone_from(name);
            state.film = None;
        }
        state.wish_for(wish);
    }

    /// Follows this body, in the game or in the record that is shown.
    pub fn watch(&self, id: u16) {
        let mut state = self.state.borrow_mut();
        match &mut state.film {
            Some(film) => film.follow(id),
            None => state.wish_for(Wish::Watch(Some(id))),
        }
    }

    /// False: that is no record.
    pub fn show(&self, file: &[u8]) -> bool {
        let record = Record::read(file).ok();
        let found = record.is_some();
        if let Some(record) = record {
            self.state.borrow_mut().film = Some(Film::new(record));
        }
        self.tell(now());
        found
    }

    pub fn film(&self, act: impl FnOnce(&mut Film)) {
        if let Some(film) = &mut self.state.borrow_mut().film {
            act(film);
        }
        self.tell(now());
    }

    pub fn close_film(&self) {
        self.state.borrow_mut().film = None;
        self.tell(now());
    }

    fn again(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        request_animation_frame(move || {
            if let Some(engine) = this.upgrade().filter(|engine| engine.alive.get()) {
                engine.picture(now());
                engine.again();
            }
        });
    }

    fn picture(&self, now: f64) {
        let says = self.state.borrow_mut().go_on(now);
        if says && let Some(line) = &*self.line.borrow() {
            line.flush();
        }
        let mut state = self.state.borrow_mut();
        state.paint(&self.canvas, &self.context, self.locale.get(), now);
        let due = state.shown.is_none_or(|shown| now - shown >= HUD_EVERY);
        drop(state);
        if due {
            self.tell(now);
        }
    }

    /// The words and figures beside the picture.
    fn tell(&self, now: f64) {
        let mut state = self.state.borrow_mut();
        state.shown = Some(now);
        let hud = state.hud();
        self.mark(&state, &hud);
        drop(state);
        if self.alive.get() && self.hud.with_untracked(|known| *known != hud) {
            self.hud.set(hud);
        }
    }

    /// For tests and scripts.
    fn mark(&self, state: &State, hud: &Hud) {
        let newest = state.past.newest();
        let own = state.pilot.own();
        let (x, y) = own.map_or((0, 0), |own| (own.motion.x, own.motion.y));
        let lag = hud.lag.map_or_else(String::new, |lag| lag.to_string());
        for (name, value) in [
            ("data-tick", newest.map_or(0, |view| view.tick).to_string()),
            ("data-round", newest.map_or(0, |view| view.round).to_string()),
            ("data-players", hud.players.to_string()),
            ("data-me", own.map_or(0, |own| own.id).to_string()),
            ("data-focus", hud.focus.to_string()),
            ("data-x", x.to_string()),
            ("data-y", y.to_string()),
            ("data-mass", hud.mass.to_string()),
            ("data-lag", lag),
            ("data-role", words::role(&hud.role).to_owned()),
            ("data-transport", words::line(hud.line).0.to_owned()),
            ("data-seen", state.seen()),
        ] {
            let _ = self.canvas.set_attribute(name, &value);
        }
    }
}

impl State {
    fn wish_for(&mut self, wish: Wish) {
        self.wishes += 1;
        self.wish = Some((self.wishes, wish));
    }

    /// Moves the player's clock, and says whether it is time to say something.
    fn go_on(&mut self, now: f64) -> bool {
        let passed = self.drawn.map_or(0.0, |drawn| (now - drawn).clamp(0.0, MAX_PASSED));
        self.drawn = Some(now);
        if let Some(film) = &mut self.film {
            film.go_on(passed);
        }
        self.rest += passed;
        let mut says = false;
        while self.rest >= TICK {
            self.rest -= TICK;
            self.ticks = self.ticks.wrapping_add(1);
            let intent = self.steering.intent();
            self.pilot.tick(intent);
            says |= self.pilot.own().is_some() || self.wish.is_some() || self.ticks.is_multiple_of(WATCHER_SAYS);
        }
        says
    }

    fn paint(&mut self, canvas: &HtmlCanvasElement, to: &Context, locale: Locale, now: f64) {
        self.painter.look.refresh(canvas, now);
        let (pair, own) = match &self.film {
            Some(film) => (Some(film.at()), None),
            None => (
                self.past.at(now),
                self.pilot.own().map(|own| (*own, (self.rest / TICK).clamp(0.0, 1.0))),
            ),
        };
        let Some((older, newer, part)) = pair else { return };
        let scene = Scene {
            older,
            newer,
            part,
            own,
            locale,
        };
        self.painter.paint(canvas, to, &scene);
    }

    fn hud(&self) -> Hud {
        let nothing = View::default();
        let live = self.past.newest();
        let shown = self.film.as_ref().map(Film::view).or(live).unwrap_or(&nothing);
        let focus = shown.body(shown.focus);
        Hud {
            line: self.status,
            role: match &self.film {
                Some(_) => Role::Watching,
                None => quiet(&shown.role),
            },
            mass: focus.map_or(0, |body| body.mass),
            peak: live.map_or(0, |view| view.peak),
            rank: shown.rank,
            players: shown.players,
            watchers: shown.watchers,
            left: shown.left,
            lag: self.lag.map(|lag| lag.round() as u32),
            focus: shown.focus,
            focus_name: focus.map(|body| body.name.clone()).unwrap_or_default(),
            board: shown.board.clone(),
            film: self.film.as_ref().map(Film::hud),
        }
    }

    /// Who is in sight, and where: `id:x:y` of people, for tests.
    fn seen(&self) -> String {
        let bodies = self
            .past
            .newest()
            .map(|view| view.bodies.as_slice())
            .unwrap_or_default();
        let people = bodies
            .iter()
            .filter(|body| body.id < super::super::model::world::FIRST_BOT);
        let told = people.map(|body| [body.id, body.x, body.y].map(|part| part.to_string()).join(":"));
        told.collect::<Vec<_>>().join(" ")
    }
}

/// Without what changes in every tick: the page's parts stay as they are while one plays.
fn quiet(role: &Role) -> Role {
    match role {
        Role::Playing { .. } => Role::Playing {
            vx: 0,
            vy: 0,
            breath: 0,
            boosting: false,
            shield: 0,
        },
        other => other.clone(),
    }
}

impl Participant for Engine {
    fn input(&self) -> Vec<u8> {
        let mut state = self.state.borrow_mut();
        let (first, intents) = state.pilot.unsaid();
        let turn = Turn {
            ack: state.ack,
            stamp: now() as u32,
            wish: state.wish.clone(),
            first,
            intents,
        };
        turn.encode()
    }

    fn on_frame(&self, frame: &[u8]) {
        let mut state = self.state.borrow_mut();
        let view = View::decode(frame, |tick| state.past.find(tick));
        let Ok(view) = view else {
            // Asks for a whole one.
            state.ack = 0;
            return;
        };
        let now = now();
        if view.echo > 0 {
            let lag = f64::from((now as u32).wrapping_sub(view.echo).saturating_sub(view.held));
            state.lag = Some(state.lag.map_or(lag, |known| known * 0.9 + lag * 0.1));
        }
        if state.wish.as_ref().is_some_and(|(number, _)| *number <= view.wish) {
            state.wish = None;
        }
        state.ack = view.tick;
        state.pilot.heard(&view);
        state.past.add(view, now);
    }

    /// A new line is a new seat: it knows no frame, no intent and no wish of the one before.
    fn on_status(&self, status: ConnectionStatus) {
        let mut state = self.state.borrow_mut();
        let (played, now) = (state.pilot.own().is_some(), now());
        if played && !matches!(status, ConnectionStatus::Live(_)) {
            state.kept_until.get_or_insert(now + f64::from(HELD_SECONDS) * 1000.0);
        }
        state.status = Some(status);
        state.ack = 0;
        state.lag = None;
        state.past.clear();
        state.pilot.forget();
        if let ConnectionStatus::Live(carrier) = status {
            let kept = state.kept_until.take().is_some_and(|until| now < until);
            if kept && state.wish.is_none() {
                let name = state.name.clone();
                state.wish_for(Wish::Play(name));
            }
            drop(state);
            if carrier == SimulationTransport::WebSocket
                && let Ok(line) = self.line.try_borrow()
                && let Some(line) = &*line
            {
                line.flush();
            }
        }
    }
}

/// Milliseconds since the page's time origin.
fn now() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}
