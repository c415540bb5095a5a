//! Draws the world around the followed body, interpolated between two frames. Independent of connection and input.

use web_sys::{CanvasRenderingContext2d as Context, HtmlCanvasElement};

use super::super::model::body::{MAX_ENERGY, WORLD_SIZE, radius};
use super::super::model::visibility::view_radius;
use super::super::model::world::{THORN_RADIUS, can_eat, thorns};
use super::super::prediction::PredictedBody;
use super::super::wire::frame::{FLAG_BOOSTING, FLAG_DISCONNECTED, FLAG_SHIELDED, Frame, VisibleBody};
use super::labels;
use super::shapes;
use super::theme::{Color, Theme};
use crate::i18n::Locale;

/// Sixteenths per unit, and units between two lines of the grid.
const SUBUNITS: f64 = 16.0;
const GRID_STEP: f64 = 128.0;
/// Maximum number of canvas pixels per CSS pixel.
const MAX_PIXEL_RATIO: f64 = 2.0;
/// The side of the minimap, in CSS pixels.
const MAP_SIZE: f64 = 92.0;

/// What one frame is drawn from.
pub struct Scene<'v> {
    pub older: &'v Frame,
    pub newer: &'v Frame,
    /// The position between the two frames, from 0 to 1.
    pub part: f64,
    /// The predicted own body, and the elapsed part of its current tick.
    pub own_body: Option<(PredictedBody, f64)>,
    pub locale: Locale,
}

#[derive(Default)]
pub struct Renderer {
    pub theme: Theme,
    /// The radius of the view in units; eased towards the radius for the body's size.
    view_radius: f64,
    seed: u64,
    thorns: Vec<(u16, u16)>,
}

/// The projection of the world onto the canvas.
#[derive(Clone, Copy)]
struct Camera {
    x: f64,
    y: f64,
    scale: f64,
    width: f64,
    height: f64,
}

impl Camera {
    /// Converts a position from sixteenths to pixels.
    fn project(&self, x: f64, y: f64) -> (f64, f64) {
        (
            (x / SUBUNITS - self.x) * self.scale + self.width / 2.0,
            (y / SUBUNITS - self.y) * self.scale + self.height / 2.0,
        )
    }

    fn scaled(&self, sixteenths: i32) -> f64 {
        f64::from(sixteenths) / SUBUNITS * self.scale
    }
}

impl Renderer {
    pub fn draw(&mut self, canvas: &HtmlCanvasElement, context: &Context, scene: &Scene) {
        let (width, height, pixel_ratio) = fit_canvas(canvas);
        let _ = context.set_transform(pixel_ratio, 0.0, 0.0, pixel_ratio, 0.0, 0.0);
        if scene.newer.seed != self.seed {
            self.seed = scene.newer.seed;
            self.thorns = thorns(self.seed);
        }
        let camera = self.camera(scene, width, height);
        self.draw_ground(context, &camera);
        self.draw_motes(context, &camera, scene.newer);
        let mut bodies: Vec<&VisibleBody> = scene.newer.bodies.iter().collect();
        bodies.sort_by_key(|body| body.mass);
        let small = bodies.partition_point(|body| radius(body.mass) <= THORN_RADIUS);
        let (beneath, above) = bodies.split_at(small);
        beneath
            .iter()
            .for_each(|body| self.draw_body(context, &camera, scene, body));
        self.draw_thorns(context, &camera);
        above
            .iter()
            .for_each(|body| self.draw_body(context, &camera, scene, body));
        self.draw_map(context, &camera, scene);
    }

    fn camera(&mut self, scene: &Scene, width: f64, height: f64) -> Camera {
        let focus = scene.newer.body(scene.newer.focus);
        let target = f64::from(view_radius(focus.map_or(0, |body| body.mass))) / SUBUNITS;
        let eased = self.view_radius + (target - self.view_radius) * 0.06;
        self.view_radius = if self.view_radius == 0.0 || self.theme.reduced_motion {
            target
        } else {
            eased
        };
        let (x, y) = match focus {
            Some(body) => position(scene, body),
            None => interpolate(scene.older.center, scene.newer.center, scene.part),
        };
        Camera {
            x: x / SUBUNITS,
            y: y / SUBUNITS,
            // The longer side shows what the server sends, so a larger window does not see farther.
            scale: width.max(height) / 2.0 / self.view_radius,
            width,
            height,
        }
    }

    fn draw_ground(&self, context: &Context, camera: &Camera) {
        context.set_fill_style_str(self.theme.color(Color::Line));
        context.fill_rect(0.0, 0.0, camera.width, camera.height);
        let (left, top) = camera.project(0.0, 0.0);
        let side = camera.scaled(WORLD_SIZE);
        context.set_fill_style_str(self.theme.color(Color::Paper));
        context.fill_rect(left, top, side, side);
        context.set_stroke_style_str(self.theme.color(Color::Line));
        context.set_line_width(1.0);
        context.begin_path();
        let step = GRID_STEP * camera.scale;
        let lines = (f64::from(WORLD_SIZE) / SUBUNITS / GRID_STEP) as u32;
        for line in 1..lines {
            let offset = f64::from(line) * step;
            if (0.0..camera.width).contains(&(left + offset)) {
                context.move_to(left + offset, top.max(0.0));
                context.line_to(left + offset, (top + side).min(camera.height));
            }
            if (0.0..camera.height).contains(&(top + offset)) {
                context.move_to(left.max(0.0), top + offset);
                context.line_to((left + side).min(camera.width), top + offset);
            }
        }
        context.stroke();
        context.set_stroke_style_str(self.theme.color(Color::Text));
        context.set_line_width(3.0);
        context.stroke_rect(left, top, side, side);
    }

    fn draw_motes(&self, context: &Context, camera: &Camera, frame: &Frame) {
        for mote in &frame.motes {
            let (x, y) = camera.project(mote.x.into(), mote.y.into());
            context.set_fill_style_str(self.theme.hue(mote.id));
            shapes::mote(context, mote.value, x, y, camera.scale.max(0.5));
            context.fill();
        }
    }

    fn draw_thorns(&self, context: &Context, camera: &Camera) {
        context.set_line_width(2.0);
        for (x, y) in &self.thorns {
            let (x, y) = camera.project((*x).into(), (*y).into());
            let size = camera.scaled(THORN_RADIUS);
            if (-size..camera.width + size).contains(&x) && (-size..camera.height + size).contains(&y) {
                shapes::thorn(context, x, y, size);
                context.set_global_alpha(0.3);
                context.set_fill_style_str(self.theme.color(Color::Bad));
                context.fill();
                context.set_global_alpha(1.0);
                context.set_stroke_style_str(self.theme.color(Color::Bad));
                context.stroke();
            }
        }
    }

    fn draw_body(&self, context: &Context, camera: &Camera, scene: &Scene, body: &VisibleBody) {
        let at = position(scene, body);
        let (x, y) = camera.project(at.0, at.1);
        let size = camera.scaled(radius(body.mass));
        if body.flags & FLAG_BOOSTING != 0 && !self.theme.reduced_motion {
            self.draw_trail(context, camera, scene, body);
        }
        context.set_global_alpha(if body.flags & FLAG_DISCONNECTED == 0 { 1.0 } else { 0.45 });
        context.save();
        shapes::outline(context, body.id, x, y, size);
        context.set_fill_style_str(self.theme.hue(body.id));
        context.fill();
        context.clip();
        context.set_stroke_style_str(self.theme.color(Color::Surface));
        context.set_fill_style_str(self.theme.color(Color::Surface));
        shapes::pattern(context, body.id, x, y, size);
        context.restore();
        context.set_global_alpha(1.0);
        shapes::outline(context, body.id, x, y, size);
        context.set_stroke_style_str(self.theme.color(Color::Text));
        context.set_line_width(if body.id == scene.newer.focus { 3.5 } else { 1.5 });
        context.stroke();
        self.draw_status(context, scene, body, (x, y), size);
        self.draw_name(context, scene, body, (x, y + size));
    }

    /// Draws a body's status: teeth if it could eat the followed body, a circle for its shield, and the player's own energy.
    fn draw_status(&self, context: &Context, scene: &Scene, body: &VisibleBody, (x, y): (f64, f64), size: f64) {
        let focus = scene.newer.body(scene.newer.focus);
        if focus.is_some_and(|own| own.id != body.id && can_eat(body.mass, own.mass)) {
            shapes::teeth(context, x, y, size);
            context.set_stroke_style_str(self.theme.color(Color::Bad));
            context.set_line_width(1.5);
            context.stroke();
        }
        if body.flags & FLAG_SHIELDED != 0 {
            shapes::circle(context, x, y, size + 7.0);
            context.set_stroke_style_str(self.theme.color(Color::Accent));
            context.set_line_width(2.0);
            let dashes = js_sys::Array::of2(&6.0.into(), &5.0.into());
            let _ = context.set_line_dash(&dashes);
            context.stroke();
            let _ = context.set_line_dash(&js_sys::Array::new());
        }
        if let Some((own, _)) = &scene.own_body
            && own.id == body.id
        {
            let fraction = f64::from(own.motion.energy) / f64::from(MAX_ENERGY);
            context.begin_path();
            let top = -std::f64::consts::FRAC_PI_2;
            let _ = context.arc(x, y, size + 4.0, top, top + fraction * std::f64::consts::TAU);
            context.set_stroke_style_str(self.theme.color(Color::Accent));
            context.set_line_width(3.0);
            context.stroke();
        }
    }

    fn draw_trail(&self, context: &Context, camera: &Camera, scene: &Scene, body: &VisibleBody) {
        let Some(before) = scene.older.body(body.id) else {
            return;
        };
        let (dx, dy) = (
            f64::from(body.x) - f64::from(before.x),
            f64::from(body.y) - f64::from(before.y),
        );
        let at = position(scene, body);
        context.set_fill_style_str(self.theme.hue(body.id));
        for step in 1..5 {
            let back = f64::from(step) * 1.6;
            let (x, y) = camera.project(at.0 - dx * back, at.1 - dy * back);
            context.set_global_alpha(0.22 - f64::from(step) * 0.04);
            shapes::circle(
                context,
                x,
                y,
                camera.scaled(radius(body.mass)) * (1.0 - f64::from(step) * 0.1),
            );
            context.fill();
        }
        context.set_global_alpha(1.0);
    }

    fn draw_name(&self, context: &Context, scene: &Scene, body: &VisibleBody, (x, y): (f64, f64)) {
        context.set_font("600 13px system-ui, sans-serif");
        context.set_text_align("center");
        context.set_text_baseline("top");
        context.set_line_width(4.0);
        context.set_line_join("round");
        context.set_stroke_style_str(self.theme.color(Color::Paper));
        context.set_fill_style_str(self.theme.color(Color::Text));
        let name = labels::body_name(scene.locale, body.id, &body.name);
        let _ = context.stroke_text(&name, x, y + 8.0);
        let _ = context.fill_text(&name, x, y + 8.0);
    }

    fn draw_map(&self, context: &Context, camera: &Camera, scene: &Scene) {
        let (left, top) = (12.0, camera.height - MAP_SIZE - 12.0);
        let to_map = |x: f64, y: f64| {
            (
                left + x / f64::from(WORLD_SIZE) * MAP_SIZE,
                top + y / f64::from(WORLD_SIZE) * MAP_SIZE,
            )
        };
        context.set_global_alpha(0.85);
        context.set_fill_style_str(self.theme.color(Color::Surface));
        context.fill_rect(left, top, MAP_SIZE, MAP_SIZE);
        context.set_global_alpha(1.0);
        context.set_stroke_style_str(self.theme.color(Color::Soft));
        context.set_line_width(1.0);
        context.stroke_rect(left, top, MAP_SIZE, MAP_SIZE);
        context.set_fill_style_str(self.theme.color(Color::Bad));
        for (x, y) in &self.thorns {
            let (x, y) = to_map((*x).into(), (*y).into());
            context.fill_rect(x - 1.0, y - 1.0, 2.0, 2.0);
        }
        let (x, y) = to_map(camera.x * SUBUNITS, camera.y * SUBUNITS);
        let half = self.view_radius / (f64::from(WORLD_SIZE) / SUBUNITS) * MAP_SIZE;
        context.stroke_rect(x - half, y - half, 2.0 * half, 2.0 * half);
        if scene.newer.focus > 0 {
            shapes::circle(context, x, y, 3.5);
            context.set_fill_style_str(self.theme.color(Color::Accent));
            context.fill();
        }
    }
}

/// The position of a body: predicted for the player's own, interpolated for others.
fn position(scene: &Scene, body: &VisibleBody) -> (f64, f64) {
    match &scene.own_body {
        Some((own, part)) if own.id == body.id => own.position(*part),
        _ => match scene.older.body(body.id) {
            Some(before) => interpolate((before.x, before.y), (body.x, body.y), scene.part),
            None => (body.x.into(), body.y.into()),
        },
    }
}

fn interpolate(from: (u16, u16), to: (u16, u16), part: f64) -> (f64, f64) {
    let axis = |from: u16, to: u16| f64::from(from) + (f64::from(to) - f64::from(from)) * part;
    (axis(from.0, to.0), axis(from.1, to.1))
}

/// Sizes the canvas to the screen's resolution; returns its width and height in CSS pixels, and the pixel ratio.
fn fit_canvas(canvas: &HtmlCanvasElement) -> (f64, f64, f64) {
    let pixel_ratio = leptos::prelude::window()
        .device_pixel_ratio()
        .clamp(1.0, MAX_PIXEL_RATIO);
    let (width, height) = (canvas.client_width().max(1), canvas.client_height().max(1));
    let pixels = |side: i32| (f64::from(side) * pixel_ratio).round() as u32;
    if canvas.width() != pixels(width) || canvas.height() != pixels(height) {
        canvas.set_width(pixels(width));
        canvas.set_height(pixels(height));
    }
    (width.into(), height.into(), pixel_ratio)
}
