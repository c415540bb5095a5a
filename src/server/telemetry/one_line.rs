//! A log writer that escapes line breaks: each event is one line, so that untrusted text cannot forge another.

use std::borrow::Cow;
use std::io::{self, Stderr, Write};

use tracing_subscriber::fmt::MakeWriter;

/// Makes writers to standard error.
pub struct OneLine;

/// Each write must be one complete event with its trailing line break.
pub struct Events(Stderr);

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = Events;

    fn make_writer(&'a self) -> Events {
        Events(io::stderr())
    }
}

impl Write for Events {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        // A line that cannot be written is dropped: the subscriber would report an error on standard error, which panics.
        let _ = self.0.lock().write_all(&one_line(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let (text, end) = match event.strip_suffix(b"\n") {
        Some(text) => (text, b"\n".as_slice()),
        None => (event, b"".as_slice()),
    };
    if !text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Cow::Borrowed(event);
    }
    let mut line = Vec::with_capacity(event.len() + 16);
    for byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            other => line.push(*other),
        }
    }
    line.extend_from_slice(end);
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_within_an_event_is_written_as_two_characters() {
        assert_eq!(&*one_line(b"INFO plain\n"), b"INFO plain\n");
        assert_eq!(
            &*one_line("WARN 방 x\n2026 ERROR forged\r\n\n".as_bytes()),
            "WARN 방 x\\n2026 ERROR forged\\r\\n\n".as_bytes()
        );
        assert_eq!(&*one_line(b"a\nb"), b"a\\nb");
        assert_eq!(&*one_line(b"\n"), b"\n");
    }
}
