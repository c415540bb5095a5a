//! What the binary prints. `println!` panics where nobody reads any more (`duplex … | head`); [`out!`] says so instead, and the
//! command ends quietly.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Whoever read the output has what they wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the output any more")]
pub struct Unread;

#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error("the output cannot be written: {0}")]
    Io(io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Unread(Unread),
            _ => Self::Io(error),
        }
    }
}

/// A line on standard output, which is there at once.
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::output::line(format_args!($($text)*))
    };
}

/// A line on standard error. Where nobody reads it, nothing is left to be told.
macro_rules! err {
    ($($text:tt)*) => {
        $crate::cli::output::remark(format_args!($($text)*))
    };
}

pub(crate) use {err, out};

pub fn line(text: Arguments<'_>) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// For a command whose exit code says more than that nobody read it.
pub fn unless_unread(written: Result<(), OutputError>) -> Result<(), OutputError> {
    match written {
        Err(OutputError::Unread(_)) => Ok(()),
        written => written,
    }
}

pub fn remark(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Ready when nobody reads standard output any more, as far as that can be known before something is written.
#[expect(
    deprecated,
    reason = "what takes its place is unsafe; standard output stays open as long as the process"
)]
pub async fn unread() -> Unread {
    if let Ok(out) = AsyncFd::with_interest(io::stdout(), Interest::ERROR)
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return Unread;
    }
    // A file, or a terminal that stays.
    std::future::pending().await
}
