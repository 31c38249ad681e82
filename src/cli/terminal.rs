//! Prints to standard output, and errors and warnings to standard error.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};

use crate::error::{Error, Result};

/// Writes text to standard output. A closed pipe is not an error.
///
/// # Errors
/// [`Error::Write`] if standard output cannot be written for another reason (a full disk).
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Write { path: Path::new("standard output").to_owned(), source: e })
        }
        _ => Ok(()),
    }
}

/// Prints an error and its causes as one message on standard error.
pub(super) fn error(error: &Error) {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message += &format!(": {source}");
        cause = source.source();
    }
    line("error", AnsiColor::Red, &message);
}

/// Prints a line on standard error. A failure to write it is ignored.
pub(super) fn note(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}

/// Prints a warning on standard error.
pub(super) fn warning(message: &str) {
    line("warning", AnsiColor::Yellow, message);
}

fn line(label: &str, color: AnsiColor, message: &str) {
    let style =
        if colored() { Style::new().bold().fg_color(Some(color.into())) } else { Style::new() };
    // If standard error cannot be written, nothing can be done.
    let _ = writeln!(std::io::stderr().lock(), "{style}{label}:{style:#} {message}");
}

/// Whether standard error shows colours: it is a terminal, and NO_COLOR is not set.
fn colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
