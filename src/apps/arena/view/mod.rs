//! The arena's page: the canvas and the components around it.

mod engine;
mod high_scores;
mod hud;
mod labels;
mod leaderboard;
pub mod page;
mod panel;
mod recordings;
mod renderer;
mod replay;
mod shapes;
mod steering;
mod theme;
