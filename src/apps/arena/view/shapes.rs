//! Canvas drawing helpers for bodies, motes and thorns. Bodies differ by outline and pattern, not by color alone.

use std::f64::consts::{PI, TAU};

use web_sys::CanvasRenderingContext2d as Context;

use super::super::model::world::{COMMON_VALUE, FIRST_BOT, RARE_VALUE};

const PATTERNS: u16 = 6;

pub fn circle(context: &Context, x: f64, y: f64, radius: f64) {
    context.begin_path();
    let _ = context.arc(x, y, radius.max(0.1), 0.0, TAU);
}

/// Traces a closed polygon whose corners alternate between two radii.
fn polygon(context: &Context, x: f64, y: f64, points: u32, radii: [f64; 2], rotation: f64) {
    context.begin_path();
    for point in 0..points {
        let angle = rotation + TAU * f64::from(point) / f64::from(points);
        let [even, odd] = radii;
        let distance = if point % 2 == 0 { even } else { odd };
        context.line_to(x + angle.cos() * distance, y + angle.sin() * distance);
    }
    context.close_path();
}

/// Traces a body's outline: a circle for players, a hexagon for bots.
pub fn outline(context: &Context, id: u16, x: f64, y: f64, radius: f64) {
    if id >= FIRST_BOT {
        polygon(context, x, y, 6, [radius * 1.06; 2], PI / 6.0);
    } else {
        circle(context, x, y, radius);
    }
}

pub fn thorn(context: &Context, x: f64, y: f64, radius: f64) {
    polygon(context, x, y, 24, [radius * 1.12, radius * 0.82], 0.0);
}

/// Traces the teeth around a body that could eat the followed one.
pub fn teeth(context: &Context, x: f64, y: f64, radius: f64) {
    polygon(context, x, y, 32, [radius * 1.16 + 3.0, radius * 1.04 + 1.0], 0.0);
}

/// Traces a mote: a circle for a common one, a diamond for a rare one, a square for one that a burst scattered.
pub fn mote(context: &Context, value: u8, x: f64, y: f64, scale: f64) {
    match value {
        COMMON_VALUE => circle(context, x, y, 4.0 * scale),
        RARE_VALUE => polygon(context, x, y, 4, [8.0 * scale; 2], 0.0),
        value => polygon(
            context,
            x,
            y,
            4,
            [(4.0 + f64::from(value).sqrt() * 0.6) * scale; 2],
            PI / 4.0,
        ),
    }
}

/// Draws a body's pattern in the current stroke and fill, clipped by its outline.
pub fn pattern(context: &Context, id: u16, x: f64, y: f64, radius: f64) {
    let line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        context.begin_path();
        context.move_to(x + x1 * radius, y + y1 * radius);
        context.line_to(x + x2 * radius, y + y2 * radius);
        context.stroke();
    };
    context.set_line_width((radius * 0.14).max(1.0));
    match id / 8 % PATTERNS {
        0 => {}
        1 => {
            circle(context, x, y, radius * 0.55);
            context.stroke();
        }
        2 => [-0.5, 0.0, 0.5].iter().for_each(|at| line(*at, -1.0, *at, 1.0)),
        3 => [-0.5, 0.0, 0.5].iter().for_each(|at| line(-1.0, *at, 1.0, *at)),
        4 => {
            line(-0.8, -0.8, 0.8, 0.8);
            line(-0.8, 0.8, 0.8, -0.8);
        }
        _ => {
            for (dx, dy) in [(-0.4, -0.4), (0.4, -0.4), (-0.4, 0.4), (0.4, 0.4), (0.0, 0.0)] {
                circle(context, x + dx * radius, y + dy * radius, radius * 0.14);
                context.fill();
            }
        }
    }
}
