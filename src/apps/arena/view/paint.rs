//! The picture: the world around the followed body, between two views. Knows no line and no player's wish.

use web_sys::{CanvasRenderingContext2d as Context, HtmlCanvasElement};

use super::super::model::body::{BREATH, WORLD, radius};
use super::super::model::sight::half_view;
use super::super::model::world::{THORN, can_eat, thorns};
use super::super::pilot::Own;
use super::super::wire::frame::{SEEN_AWAY, SEEN_BOOSTING, SEEN_SHIELDED, Seen, View};
use super::look::{Ink, Look};
use super::shapes;
use super::words;
use crate::i18n::Locale;

/// Sixteenths in a unit, and units between two lines of the ground.
const PARTS: f64 = 16.0;
const GRID: f64 = 128.0;
/// A canvas has no more pixels than this for each of the page's.
const MAX_DENSITY: f64 = 2.0;
/// The side of the little map, in the page's pixels.
const MAP: f64 = 92.0;

/// What is to be drawn now.
pub struct Scene<'v> {
    pub older: &'v View,
    pub newer: &'v View,
    /// From the one to the other.
    pub part: f64,
    /// One's own body, and how far its tick has come.
    pub own: Option<(Own, f64)>,
    pub locale: Locale,
}

#[derive(Default)]
pub struct Painter {
    pub look: Look,
    /// Half of what is seen, in units; follows the body's width slowly.
    half: f64,
    seed: u64,
    thorns: Vec<(u16, u16)>,
}

/// Where the world is on the canvas.
#[derive(Clone, Copy)]
struct Lens {
    x: f64,
    y: f64,
    scale: f64,
    width: f64,
    height: f64,
}

impl Lens {
    /// Sixteenths to pixels.
    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (
            (x / PARTS - self.x) * self.scale + self.width / 2.0,
            (y / PARTS - self.y) * self.scale + self.height / 2.0,
        )
    }

    fn length(&self, sixteenths: i32) -> f64 {
        f64::from(sixteenths) / PARTS * self.scale
    }
}

impl Painter {
    pub fn paint(&mut self, canvas: &HtmlCanvasElement, to: &Context, scene: &Scene) {
        let (width, height, density) = fit(canvas);
        let _ = to.set_transform(density, 0.0, 0.0, density, 0.0, 0.0);
        if scene.newer.seed != self.seed {
            self.seed = scene.newer.seed;
            self.thorns = thorns(self.seed);
        }
        let lens = self.lens(scene, width, height);
        self.ground(to, &lens);
        self.motes(to, &lens, scene.newer);
        let mut bodies: Vec<&Seen> = scene.newer.bodies.iter().collect();
        bodies.sort_by_key(|body| body.mass);
        let small = bodies.partition_point(|body| radius(body.mass) <= THORN);
        let (beneath, above) = bodies.split_at(small);
        beneath.iter().for_each(|body| self.body(to, &lens, scene, body));
        self.thorns(to, &lens);
        above.iter().for_each(|body| self.body(to, &lens, scene, body));
        self.map(to, &lens, scene);
    }

    fn lens(&mut self, scene: &Scene, width: f64, height: f64) -> Lens {
        let focus = scene.newer.body(scene.newer.focus);
        let wanted = f64::from(half_view(focus.map_or(0, |body| body.mass))) / PARTS;
        let eased = self.half + (wanted - self.half) * 0.06;
        self.half = if self.half == 0.0 || self.look.calm {
            wanted
        } else {
            eased
        };
        let (x, y) = match focus {
            Some(body) => place(scene, body),
            None => between(scene.older.at, scene.newer.at, scene.part),
        };
        Lens {
            x: x / PARTS,
            y: y / PARTS,
            // The longer side shows what the server sends; nobody sees farther by another window.
            scale: width.max(height) / 2.0 / self.half,
            width,
            height,
        }
    }

    fn ground(&self, to: &Context, lens: &Lens) {
        to.set_fill_style_str(self.look.ink(Ink::Line));
        to.fill_rect(0.0, 0.0, lens.width, lens.height);
        let (left, top) = lens.place(0.0, 0.0);
        let side = lens.length(WORLD);
        to.set_fill_style_str(self.look.ink(Ink::Paper));
        to.fill_rect(left, top, side, side);
        to.set_stroke_style_str(self.look.ink(Ink::Line));
        to.set_line_width(1.0);
        to.begin_path();
        let step = GRID * lens.scale;
        let lines = (f64::from(WORLD) / PARTS / GRID) as u32;
        for line in 1..lines {
            let along = f64::from(line) * step;
            if (0.0..lens.width).contains(&(left + along)) {
                to.move_to(left + along, top.max(0.0));
                to.line_to(left + along, (top + side).min(lens.height));
            }
            if (0.0..lens.height).contains(&(top + along)) {
                to.move_to(left.max(0.0), top + along);
                to.line_to((left + side).min(lens.width), top + along);
            }
        }
        to.stroke();
        to.set_stroke_style_str(self.look.ink(Ink::Text));
        to.set_line_width(3.0);
        to.stroke_rect(left, top, side, side);
    }

    fn motes(&self, to: &Context, lens: &Lens, view: &View) {
        for mote in &view.motes {
            let (x, y) = lens.place(mote.x.into(), mote.y.into());
            to.set_fill_style_str(self.look.hue(mote.id));
            shapes::mote(to, mote.value, x, y, lens.scale.max(0.5));
            to.fill();
        }
    }

    fn thorns(&self, to: &Context, lens: &Lens) {
        to.set_line_width(2.0);
        for (x, y) in &self.thorns {
            let (x, y) = lens.place((*x).into(), (*y).into());
            let wide = lens.length(THORN);
            if (-wide..lens.width + wide).contains(&x) && (-wide..lens.height + wide).contains(&y) {
                shapes::thorn(to, x, y, wide);
                to.set_global_alpha(0.3);
                to.set_fill_style_str(self.look.ink(Ink::Bad));
                to.fill();
                to.set_global_alpha(1.0);
                to.set_stroke_style_str(self.look.ink(Ink::Bad));
                to.stroke();
            }
        }
    }

    fn body(&self, to: &Context, lens: &Lens, scene: &Scene, body: &Seen) {
        let at = place(scene, body);
        let (x, y) = lens.place(at.0, at.1);
        let wide = lens.length(radius(body.mass));
        if body.flags & SEEN_BOOSTING != 0 && !self.look.calm {
            self.trail(to, lens, scene, body);
        }
        to.set_global_alpha(if body.flags & SEEN_AWAY == 0 { 1.0 } else { 0.45 });
        to.save();
        shapes::outline(to, body.id, x, y, wide);
        to.set_fill_style_str(self.look.hue(body.id));
        to.fill();
        to.clip();
        to.set_stroke_style_str(self.look.ink(Ink::Surface));
        to.set_fill_style_str(self.look.ink(Ink::Surface));
        shapes::pattern(to, body.id, x, y, wide);
        to.restore();
        to.set_global_alpha(1.0);
        shapes::outline(to, body.id, x, y, wide);
        to.set_stroke_style_str(self.look.ink(Ink::Text));
        to.set_line_width(if body.id == scene.newer.focus { 3.5 } else { 1.5 });
        to.stroke();
        self.marks(to, scene, body, (x, y), wide);
        self.name(to, scene, body, (x, y + wide));
    }

    /// What the body is to the followed one: teeth, who could eat it; a shield, who can neither eat nor be eaten; breath.
    fn marks(&self, to: &Context, scene: &Scene, body: &Seen, (x, y): (f64, f64), wide: f64) {
        let focus = scene.newer.body(scene.newer.focus);
        if focus.is_some_and(|own| own.id != body.id && can_eat(body.mass, own.mass)) {
            shapes::teeth(to, x, y, wide);
            to.set_stroke_style_str(self.look.ink(Ink::Bad));
            to.set_line_width(1.5);
            to.stroke();
        }
        if body.flags & SEEN_SHIELDED != 0 {
            shapes::circle(to, x, y, wide + 7.0);
            to.set_stroke_style_str(self.look.ink(Ink::Accent));
            to.set_line_width(2.0);
            let dashes = js_sys::Array::of2(&6.0.into(), &5.0.into());
            let _ = to.set_line_dash(&dashes);
            to.stroke();
            let _ = to.set_line_dash(&js_sys::Array::new());
        }
        if let Some((own, _)) = &scene.own
            && own.id == body.id
        {
            let full = f64::from(own.motion.breath) / f64::from(BREATH);
            to.begin_path();
            let top = -std::f64::consts::FRAC_PI_2;
            let _ = to.arc(x, y, wide + 4.0, top, top + full * std::f64::consts::TAU);
            to.set_stroke_style_str(self.look.ink(Ink::Accent));
            to.set_line_width(3.0);
            to.stroke();
        }
    }

    fn trail(&self, to: &Context, lens: &Lens, scene: &Scene, body: &Seen) {
        let Some(before) = scene.older.body(body.id) else {
            return;
        };
        let (dx, dy) = (
            f64::from(body.x) - f64::from(before.x),
            f64::from(body.y) - f64::from(before.y),
        );
        let at = place(scene, body);
        to.set_fill_style_str(self.look.hue(body.id));
        for step in 1..5 {
            let back = f64::from(step) * 1.6;
            let (x, y) = lens.place(at.0 - dx * back, at.1 - dy * back);
            to.set_global_alpha(0.22 - f64::from(step) * 0.04);
            shapes::circle(to, x, y, lens.length(radius(body.mass)) * (1.0 - f64::from(step) * 0.1));
            to.fill();
        }
        to.set_global_alpha(1.0);
    }

    fn name(&self, to: &Context, scene: &Scene, body: &Seen, (x, y): (f64, f64)) {
        to.set_font("600 13px system-ui, sans-serif");
        to.set_text_align("center");
        to.set_text_baseline("top");
        to.set_line_width(4.0);
        to.set_line_join("round");
        to.set_stroke_style_str(self.look.ink(Ink::Paper));
        to.set_fill_style_str(self.look.ink(Ink::Text));
        let name = words::body(scene.locale, body.id, &body.name);
        let _ = to.stroke_text(&name, x, y + 8.0);
        let _ = to.fill_text(&name, x, y + 8.0);
    }

    fn map(&self, to: &Context, lens: &Lens, scene: &Scene) {
        let (left, top) = (12.0, lens.height - MAP - 12.0);
        let place = |x: f64, y: f64| (left + x / f64::from(WORLD) * MAP, top + y / f64::from(WORLD) * MAP);
        to.set_global_alpha(0.85);
        to.set_fill_style_str(self.look.ink(Ink::Surface));
        to.fill_rect(left, top, MAP, MAP);
        to.set_global_alpha(1.0);
        to.set_stroke_style_str(self.look.ink(Ink::Soft));
        to.set_line_width(1.0);
        to.stroke_rect(left, top, MAP, MAP);
        to.set_fill_style_str(self.look.ink(Ink::Bad));
        for (x, y) in &self.thorns {
            let (x, y) = place((*x).into(), (*y).into());
            to.fill_rect(x - 1.0, y - 1.0, 2.0, 2.0);
        }
        let (x, y) = place(lens.x * PARTS, lens.y * PARTS);
        let half = self.half / (f64::from(WORLD) / PARTS) * MAP;
        to.stroke_rect(x - half, y - half, 2.0 * half, 2.0 * half);
        if scene.newer.focus > 0 {
            shapes::circle(to, x, y, 3.5);
            to.set_fill_style_str(self.look.ink(Ink::Accent));
            to.fill();
        }
    }
}

/// One's own body is where the player moved it; others are between their places.
fn place(scene: &Scene, body: &Seen) -> (f64, f64) {
    match &scene.own {
        Some((own, part)) if own.id == body.id => own.place(*part),
        _ => match scene.older.body(body.id) {
            Some(before) => between((before.x, before.y), (body.x, body.y), scene.part),
            None => (body.x.into(), body.y.into()),
        },
    }
}

fn between(from: (u16, u16), to: (u16, u16), part: f64) -> (f64, f64) {
    let way = |from: u16, to: u16| f64::from(from) + (f64::from(to) - f64::from(from)) * part;
    (way(from.0, to.0), way(from.1, to.1))
}

/// As many pixels as the screen has where the canvas is. Says how large it is on the page, and how many pixels fill one of
/// the page's.
fn fit(canvas: &HtmlCanvasElement) -> (f64, f64, f64) {
    let density = leptos::prelude::window().device_pixel_ratio().clamp(1.0, MAX_DENSITY);
    let (width, height) = (canvas.client_width().max(1), canvas.client_height().max(1));
    let pixels = |side: i32| (f64::from(side) * density).round() as u32;
    if canvas.width() != pixels(width) || canvas.height() != pixels(height) {
        canvas.set_width(pixels(width));
        canvas.set_height(pixels(height));
    }
    (width.into(), height.into(), density)
}
