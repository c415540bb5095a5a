//! Topics in components: [`use_topic`] and [`Live`].

mod live;
pub mod store;
mod use_topic;

pub use self::live::*;
pub use self::use_topic::*;
