//! The game's rules: pure, in integers only, and identical on the server and in the browser.

pub mod angle;
pub mod body;
pub mod bots;
pub mod hash;
pub mod high_scores;
pub mod position_index;
pub mod random;
pub mod recording;
pub mod visibility;
pub mod world;
