//! `RunSignals`: a context value with which a server function sets a measurement run's signal.

use std::sync::Arc;

/// Sets the signal of a run to a text, or returns the error message.
#[derive(Clone)]
pub struct RunSignals(pub Arc<SetSignal>);

type SetSignal = dyn Fn(&str, &str) -> Result<(), String> + Send + Sync;
