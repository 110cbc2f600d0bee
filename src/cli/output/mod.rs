//! Everything klog writes to a terminal, a pipe or a file through stdout and stderr; nothing else prints.

pub mod progress;
pub mod rows;
pub mod stream;

use std::io::{self, IsTerminal, Write};

use super::context::Context;
use super::exit::{Exit, Failure, plain};

pub use progress::Progress;
pub use rows::{Format, Rows};

/// Prints a failure on stderr and returns its exit code.
pub fn failure(failure: &Failure) -> Exit {
    complain(&failure.to_string());
    failure.exit
}

/// One line for people on stderr, left out with `-q`.
pub fn notice(context: &Context, text: &str) {
    if !context.quiet {
        complain(&format!("klog: {text}"));
    }
}

/// One line for people on stderr that only `-v` shows.
pub fn detail(context: &Context, text: &str) {
    if context.verbose > 0 {
        complain(&format!("klog: {text}"));
    }
}

/// A line on stderr, whatever `-q` says; names in it do not steer the terminal. A stderr that is closed or full is no
/// reason to fail.
pub fn complain(text: &str) {
    let steers = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    let text = text.replace(steers, "\u{fffd}");
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes data to stdout. A reader that went away ends the command quietly: the error says so by `Ok(false)`.
pub fn data(bytes: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(format!("can't write to stdout: {}", plain(&error)), "")),
    }
}

/// Whether colour and progress may be used on stderr.
pub fn stderr_is_lively(context: &Context) -> bool {
    !context.quiet && io::stderr().is_terminal() && !no_color()
}

/// Whether `NO_COLOR` is set (to anything but the empty string).
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Asks a yes-or-no question on a terminal; anything but yes is no. Without a terminal the answer is `unasked`; where
/// somebody types and could not see the question, it is no.
pub fn confirm(question: &str, unasked: bool) -> bool {
    if !io::stdin().is_terminal() {
        return unasked;
    }
    if !io::stderr().is_terminal() {
        return false;
    }
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
