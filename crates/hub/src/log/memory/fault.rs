//! Fault injection, for tests.

use std::time::Duration;

use tokio::time::sleep;

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
    /// Appends take this long, and reads of topics half as long, as over a network.
    Delay(Duration),
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
        let fault = fault
            .wait_for(|fault| *fault != Fault::Stall)
            .await
            .map(|fault| fault.clone());
        match fault {
            Ok(Fault::Error(error)) => Err(error),
            Ok(Fault::Delay(delay)) => {
                sleep(delay).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Waits for the injected delay of a read, if any.
    pub(super) async fn delay_read(&self) {
        let fault = self.fault.borrow().clone();
        if let Fault::Delay(delay) = fault {
            sleep(delay / 2).await;
        }
    }
}
