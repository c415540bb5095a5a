//! Fault injection for appends, for tests.

use super::MemoryLog;
use crate::log::LogError;

/// The behavior of appends, for tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fault {
    /// Appends succeed.
    #[default]
    None,
    /// Appends store nothing and return this error.
    Error(LogError),
    /// Appends wait until the fault is changed.
    Stall,
}

impl MemoryLog {
    /// Sets the behavior of appends from now on, including pending ones.
    pub fn set_fault(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Waits while appends stall. Returns the injected error, if any.
    pub(super) async fn check_fault(&self) -> Result<(), LogError> {
        let mut fault = self.fault.subscribe();
        // The sender lives as long as `self`.
        match fault.wait_for(|fault| *fault != Fault::Stall).await.as_deref() {
            Ok(Fault::Error(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}
