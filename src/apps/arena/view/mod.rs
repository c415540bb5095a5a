//! The arena's page: the canvas and what stands around it. Acts only in the browser.

mod best;
mod board;
mod engine;
mod film;
mod hud;
mod look;
mod paint;
mod panel;
mod replay;
pub mod page;
mod shapes;
mod steering;
mod words;
