//! The arena's server half: the round that goes on, the seats of its viewers, and who may write a best score.

mod game;
mod pilots;
mod records;
mod scores;
mod seat;
mod shot;
#[cfg(test)]
mod tests;

use super::wire::scores::Scores;
use crate::apps::server::AppServer;
use duplex_hub::dyn_topic;
use std::sync::Arc;

use self::game::Game;
use duplex_hub::simulation::Simulation;

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| vec![dyn_topic(Scores)]),
        simulations: Some(|options| vec![stage(&options.arena)]),
        ..AppServer::default()
    }
}

#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "arena")]
pub struct Options {
    /// Send each viewer of the arena the whole world as JSON at every tick: to measure what frames of changes save
    #[arg(long, env = "DUPLEX_ARENA_JSON")]
    pub arena_json: bool,
}

pub fn stage(options: &Options) -> Arc<dyn Simulation> {
    Game::new(options.arena_json)
}
