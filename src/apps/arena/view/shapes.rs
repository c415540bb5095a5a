//! The shapes on the canvas: who is what is told by form and pattern too, not by colour alone.

use std::f64::consts::{PI, TAU};

use web_sys::CanvasRenderingContext2d as Context;

use super::super::model::world::{COMMON, FIRST_BOT, RARE};

const PATTERNS: u16 = 6;

pub fn circle(to: &Context, x: f64, y: f64, radius: f64) {
    to.begin_path();
    let _ = to.arc(x, y, radius.max(0.1), 0.0, TAU);
}

/// A closed line through points around the middle; their distances take turns.
fn around(to: &Context, x: f64, y: f64, points: u32, distances: [f64; 2], turn: f64) {
    to.begin_path();
    for point in 0..points {
        let angle = turn + TAU * f64::from(point) / f64::from(points);
        let [even, odd] = distances;
        let far = if point % 2 == 0 { even } else { odd };
        to.line_to(x + angle.cos() * far, y + angle.sin() * far);
    }
    to.close_path();
}

/// People are round, bots have six sides.
pub fn outline(to: &Context, id: u16, x: f64, y: f64, radius: f64) {
    if id >= FIRST_BOT {
        around(to, x, y, 6, [radius * 1.06; 2], PI / 6.0);
    } else {
        circle(to, x, y, radius);
    }
}

pub fn thorn(to: &Context, x: f64, y: f64, radius: f64) {
    around(to, x, y, 24, [radius * 1.12, radius * 0.82], 0.0);
}

/// Teeth around a body that could eat one's own.
pub fn teeth(to: &Context, x: f64, y: f64, radius: f64) {
    around(to, x, y, 32, [radius * 1.16 + 3.0, radius * 1.04 + 1.0], 0.0);
}

/// Common ones are round, rare ones are diamonds, and what somebody lost is square.
pub fn mote(to: &Context, value: u8, x: f64, y: f64, scale: f64) {
    match value {
        COMMON => circle(to, x, y, 4.0 * scale),
        RARE => around(to, x, y, 4, [8.0 * scale; 2], 0.0),
        value => around(
            to,
            x,
            y,
            4,
            [(4.0 + f64::from(value).sqrt() * 0.6) * scale; 2],
            PI / 4.0,
        ),
    }
}

/// What is drawn within a body's outline, in the current stroke and fill; the outline is the clip.
pub fn pattern(to: &Context, id: u16, x: f64, y: f64, radius: f64) {
    let line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        to.begin_path();
        to.move_to(x + x1 * radius, y + y1 * radius);
        to.line_to(x + x2 * radius, y + y2 * radius);
        to.stroke();
    };
    to.set_line_width((radius * 0.14).max(1.0));
    match id / 8 % PATTERNS {
        0 => {}
        1 => {
            circle(to, x, y, radius * 0.55);
            to.stroke();
        }
        2 => [-0.5, 0.0, 0.5].iter().for_each(|at| line(*at, -1.0, *at, 1.0)),
        3 => [-0.5, 0.0, 0.5].iter().for_each(|at| line(-1.0, *at, 1.0, *at)),
        4 => {
            line(-0.8, -0.8, 0.8, 0.8);
            line(-0.8, 0.8, 0.8, -0.8);
        }
        _ => {
            for (dx, dy) in [(-0.4, -0.4), (0.4, -0.4), (-0.4, 0.4), (0.4, 0.4), (0.0, 0.0)] {
                circle(to, x + dx * radius, y + dy * radius, radius * 0.14);
                to.fill();
            }
        }
    }
}
