//! The arena's server half: the running round, its viewers, and the decider of the high scores.

mod game;
mod players;
mod recordings;
mod scores;
mod seed;
mod snapshot;
#[cfg(test)]
mod tests;
mod viewer;

use super::wire::scores::Scores;
use crate::apps::server::AppServer;
use duplex_hub::dyn_topic;
use std::sync::Arc;

use self::game::Game;
use duplex_hub::simulation::Simulation;

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| vec![dyn_topic(Scores)]),
        simulations: Some(|options| vec![simulation(&options.arena)]),
        ..AppServer::default()
    }
}

#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "arena")]
pub struct Options {
    /// Send arena viewers the full world as JSON in each tick; a baseline for measuring delta frames
    #[arg(long, env = "DUPLEX_ARENA_JSON")]
    pub arena_json: bool,
}

pub fn simulation(options: &Options) -> Arc<dyn Simulation> {
    Game::new(options.arena_json)
}
