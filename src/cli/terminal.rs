//! Printing: standard output, errors and warnings.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};

use crate::error::{Error, Result};

/// Writes text to standard output; a reader that has gone away is no failure.
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

/// Prints a failure and its causes as one message on standard error.
pub(super) fn error(error: &Error) {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message += &format!(": {source}");
        cause = source.source();
    }
    line("error", AnsiColor::Red, &message);
}

/// Prints a line on standard error; nothing can be done if that is closed or full.
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
    // Nothing can be done about a standard error that cannot be written.
    let _ = writeln!(std::io::stderr().lock(), "{style}{label}:{style:#} {message}");
}

/// Whether standard error takes colours: a terminal, and no NO_COLOR.
fn colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
