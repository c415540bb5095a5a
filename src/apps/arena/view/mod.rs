//! The arena's page: the canvas and what stands around it. Acts only in the browser.

mod best;
mod board;
mod engine;
mod film;
mod hud;
mod look;
pub mod page;
mod paint;
mod panel;
mod replay;
mod shapes;
mod steering;
mod words;
