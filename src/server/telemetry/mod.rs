//! Logging and tracing: the format and filter of log lines, counters of errors and warnings, and the export of traces.

mod one_line;
#[cfg(feature = "otel")]
mod otlp;
#[cfg(not(feature = "otel"))]
#[path = "no_otlp.rs"]
mod otlp;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use self::one_line::OneLine;
use self::otlp::{TraceExportError, Traces};
use super::config::LogFormat;

/// Counts log lines of the levels error and warn since the start.
#[derive(Debug, Default)]
pub struct ErrorCounter {
    errors: AtomicU64,
    warnings: AtomicU64,
}

impl ErrorCounter {
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    pub fn warnings(&self) -> u64 {
        self.warnings.load(Relaxed)
    }
}

/// A layer that counts the events that pass the filter.
struct CountingLayer(Arc<ErrorCounter>);

impl<S: Subscriber> Layer<S> for CountingLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        match *event.metadata().level() {
            Level::ERROR => self.0.errors.fetch_add(1, Relaxed),
            Level::WARN => self.0.warnings.fetch_add(1, Relaxed),
            _ => 0,
        };
    }
}

/// A guard of the running telemetry; dropping it flushes the remaining traces.
pub struct Telemetry {
    pub error_counter: Arc<ErrorCounter>,
    _traces: Option<Traces>,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("--log: {0}")]
    Filter(#[from] ParseError),
    #[error("--otlp-endpoint: {0}")]
    Traces(#[from] TraceExportError),
}

/// Installs the global subscriber. Log lines go to standard error; standard output is reserved for the address, for scripts.
pub fn start(filter: &str, format: LogFormat, otlp_endpoint: Option<&str>) -> Result<Telemetry, TelemetryError> {
    let error_counter = Arc::<ErrorCounter>::default();
    let lines = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(OneLine);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let (layer, traces) = otlp_endpoint.map(otlp::layer).transpose()?.unzip();
    registry()
        .with(layer)
        .with(lines)
        .with(CountingLayer(Arc::clone(&error_counter)))
        .with(EnvFilter::try_new(filter)?)
        .init();
    Ok(Telemetry {
        error_counter,
        _traces: traces,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_warnings_are_counted() {
        let error_counter = Arc::<ErrorCounter>::default();
        let counting = registry()
            .with(CountingLayer(error_counter.clone()))
            .with(EnvFilter::new("info"));
        tracing::subscriber::with_default(counting, || {
            tracing::error!("one");
            tracing::warn!("two");
            tracing::info!("not counted");
            tracing::error!("three");
        });
        assert_eq!((error_counter.errors(), error_counter.warnings()), (2, 1));
    }
}
