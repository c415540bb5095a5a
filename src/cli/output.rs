//! Output of the binary. `println!` panics on a closed pipe (`duplex … | head`); [`out!`] returns an error instead, and the
//! command exits without an error message.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The reader of the output closed the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the output is closed")]
pub struct OutputClosed;

#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error(transparent)]
    OutputClosed(#[from] OutputClosed),
    #[error("cannot write the output: {0}")]
    Io(io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::OutputClosed(OutputClosed),
            _ => Self::Io(error),
        }
    }
}

/// Prints a line on standard output and flushes it.
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::output::line(format_args!($($text)*))
    };
}

/// Prints a line on standard error. Errors are ignored.
macro_rules! err {
    ($($text:tt)*) => {
        $crate::cli::output::error_line(format_args!($($text)*))
    };
}

pub(crate) use {err, out};

pub fn line(text: Arguments<'_>) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Ignores a closed pipe, for a command whose exit code carries its result.
pub fn ignore_closed(written: Result<(), OutputError>) -> Result<(), OutputError> {
    match written {
        Err(OutputError::OutputClosed(_)) => Ok(()),
        written => written,
    }
}

pub fn error_line(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Completes when the reader of standard output closes the pipe, if that can be detected without a write.
#[expect(
    deprecated,
    reason = "its replacement is unsafe; standard output stays open as long as the process"
)]
pub async fn closed() -> OutputClosed {
    if let Ok(out) = AsyncFd::with_interest(io::stdout(), Interest::ERROR)
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return OutputClosed;
    }
    // Regular files and terminals are never closed by a reader.
    std::future::pending().await
}
