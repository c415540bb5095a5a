//! The quotas of connections and HTTP requests.

mod gate;
pub mod guard;

pub use self::gate::Gate;
