//! The canvas's colors, read from the page's style sheet, and the visitor's motion preference.

use leptos::prelude::*;
use web_sys::{CssStyleDeclaration, Element, HtmlCanvasElement};

/// The number of body hues. Bodies differ by pattern too, for visitors who cannot tell the hues apart.
pub const HUE_COUNT: usize = 8;

/// A color of the palette, in the order of its elements (`.arena-palette` in `style/arena.css`).
#[derive(Debug, Clone, Copy)]
pub enum Color {
    Text = HUE_COUNT as isize,
    Soft,
    Paper,
    Line,
    Accent,
    Bad,
    Surface,
}

pub const COLOR_COUNT: usize = HUE_COUNT + 7;
/// Milliseconds between two reads of the style: the visitor may change the theme.
const REFRESH_MS: f64 = 1000.0;

#[derive(Default)]
pub struct Theme {
    colors: Vec<String>,
    /// The visitor prefers reduced motion.
    pub reduced_motion: bool,
    refreshed_at: Option<f64>,
}

impl Theme {
    pub fn refresh(&mut self, canvas: &HtmlCanvasElement, now: f64) {
        if self
            .refreshed_at
            .is_some_and(|refreshed_at| now - refreshed_at < REFRESH_MS)
        {
            return;
        }
        self.refreshed_at = Some(now);
        let motion = window().match_media("(prefers-reduced-motion: reduce)");
        self.reduced_motion = motion.ok().flatten().is_some_and(|motion| motion.matches());
        let palette = canvas
            .parent_element()
            .and_then(|parent| parent.query_selector(".arena-palette").ok().flatten());
        let Some(swatches) = palette.map(|palette| palette.children()) else {
            return;
        };
        let colors = (0..swatches.length())
            .filter_map(|at| swatches.item(at))
            .map(|swatch| computed_color(&swatch));
        self.colors = colors.collect();
    }

    pub fn hue(&self, id: u16) -> &str {
        self.entry(usize::from(id) % HUE_COUNT)
    }

    pub fn color(&self, color: Color) -> &str {
        self.entry(color as usize)
    }

    fn entry(&self, index: usize) -> &str {
        self.colors.get(index).map_or("gray", String::as_str)
    }
}

fn computed_color(swatch: &Element) -> String {
    let style = window().get_computed_style(swatch).ok().flatten();
    let color = style.and_then(|style: CssStyleDeclaration| style.get_property_value("color").ok());
    color.unwrap_or_default()
}
