//! Colours of the page's own style for the canvas, and whether the visitor wants it calm.

use leptos::prelude::*;
use web_sys::{CssStyleDeclaration, Element, HtmlCanvasElement};

/// Hues of bodies; with the patterns each body differs from its neighbours, whatever colours an eye tells apart.
pub const HUES: usize = 8;

/// In the order in which the page has them, `view/page.rs`.
#[derive(Debug, Clone, Copy)]
pub enum Ink {
    Text = HUES as isize,
    Soft,
    Paper,
    Line,
    Accent,
    Bad,
    Surface,
}

pub const COLOURS: usize = HUES + 7;
/// Milliseconds until the style is asked again: the visitor may change the theme.
const FRESH: f64 = 1000.0;

#[derive(Default)]
pub struct Look {
    colours: Vec<String>,
    /// The visitor wants no movement that tells nothing.
    pub calm: bool,
    asked: Option<f64>,
}

impl Look {
    pub fn refresh(&mut self, canvas: &HtmlCanvasElement, now: f64) {
        if self.asked.is_some_and(|asked| now - asked < FRESH) {
            return;
        }
        self.asked = Some(now);
        let motion = window().match_media("(prefers-reduced-motion: reduce)");
        self.calm = motion.ok().flatten().is_some_and(|motion| motion.matches());
        let palette = canvas
            .parent_element()
            .and_then(|parent| parent.query_selector(".arena-palette").ok().flatten());
        let Some(swatches) = palette.map(|palette| palette.children()) else {
            return;
        };
        let colours = (0..swatches.length())
            .filter_map(|at| swatches.item(at))
            .map(|swatch| colour(&swatch));
        self.colours = colours.collect();
    }

    pub fn hue(&self, id: u16) -> &str {
        self.colour(usize::from(id) % HUES)
    }

    pub fn ink(&self, ink: Ink) -> &str {
        self.colour(ink as usize)
    }

    fn colour(&self, at: usize) -> &str {
        self.colours.get(at).map_or("gray", String::as_str)
    }
}

fn colour(swatch: &Element) -> String {
    let style = window().get_computed_style(swatch).ok().flatten();
    let colour = style.and_then(|style: CssStyleDeclaration| style.get_property_value("color").ok());
    colour.unwrap_or_default()
}
