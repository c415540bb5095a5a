//! How a server function sets the signal of a run of measurements. Knows no signal.

use std::sync::Arc;

/// In the context of a server function: sets the signal of a run to a text, or says why not.
#[derive(Clone)]
pub struct RunSignals(pub Arc<Set>);

type Set = dyn Fn(&str, &str) -> Result<(), String> + Send + Sync;
