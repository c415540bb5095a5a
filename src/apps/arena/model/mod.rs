//! What the game is: the same on the server and in the browser, pure, in whole numbers.

pub mod angle;
pub mod best;
pub mod body;
pub mod bots;
pub mod random;
pub mod record;
pub mod sight;
pub mod world;
