//! The context through which a server function sets the signal of a measurement run.

use std::sync::Arc;

/// Sets the signal of a run to a text, or returns the reason why not.
#[derive(Clone)]
pub struct RunSignals(pub Arc<Set>);

type Set = dyn Fn(&str, &str) -> Result<(), String> + Send + Sync;
