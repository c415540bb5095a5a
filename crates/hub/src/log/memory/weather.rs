//! Failures of appends on request, for tests.

use super::Memory;
use crate::log::LogError;

/// What happens to appends, for tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Weather {
    /// They are stored.
    #[default]
    Fair,
    /// They store nothing and return this error.
    Failing(LogError),
    /// They wait until this is changed.
    Stalled,
}

impl Memory {
    /// Sets what happens to appends from now on, also to those that wait.
    pub fn set_weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Waits while appends stall; an error if they fail.
    pub(super) async fn weathered(&self) -> Result<(), LogError> {
        let mut weather = self.weather.subscribe();
        // The sender lives as long as `self`.
        match weather
            .wait_for(|weather| *weather != Weather::Stalled)
            .await
            .as_deref()
        {
            Ok(Weather::Failing(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}
