//! How a command ends: the exit codes scripts rely on, and failures as two lines; never prints.

use std::fmt;

/// What the exit code says. One enum for every command; the numbers are the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done.
    Done,
    /// The operation failed.
    Failed,
    /// The command line or a config file is wrong.
    Usage,
    /// No such topic, group or file.
    Missing,
    /// Not allowed: authentication, authorisation, file permission.
    Denied,
    /// A wanted condition was not reached in time.
    NotInTime,
    /// Some records failed, others succeeded.
    Partly,
    /// The broker can't be reached.
    Unreachable,
    /// Corrupt data found.
    Corrupt,
    /// Nothing matched.
    NoMatch,
}

impl Exit {
    /// Every way to end, in the order of the codes.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Missing,
        Self::Denied,
        Self::NotInTime,
        Self::Partly,
        Self::Unreachable,
        Self::Corrupt,
        Self::NoMatch,
    ];

    /// The number the shell sees, and what it means.
    pub const fn facts(self) -> (u8, &'static str) {
        match self {
            Self::Done => (0, "done"),
            Self::Failed => (1, "the operation failed"),
            Self::Usage => (2, "the command line or a config file is wrong"),
            Self::Missing => (3, "no such topic, group, file"),
            Self::Denied => (4, "not allowed (authentication, authorisation, file permission)"),
            Self::NotInTime => (5, "a wanted condition was not reached in time"),
            Self::Partly => (6, "some records failed, others succeeded; stderr says how many of each"),
            Self::Unreachable => (7, "the broker can't be reached"),
            Self::Corrupt => (8, "corrupt data found"),
            Self::NoMatch => (9, "nothing matched"),
        }
    }

    /// The number the shell sees (0 to 9).
    pub const fn code(self) -> u8 {
        self.facts().0
    }
}

/// A command that did not do what was asked: the exit code, one line that says what failed, on what, what was found
/// and what is allowed, and a second line with the next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What failed, on what, what was found, what is allowed. One line, no full stop, no "error:".
    pub what: String,
    /// What to do next; empty when there is nothing to say.
    pub next: String,
}

impl Failure {
    /// A failure with its two lines.
    pub fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), next: next.into() }
    }

    /// The operation failed (exit 1).
    pub fn failed(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what, next)
    }

    /// The command line or a config file is wrong (exit 2).
    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, next)
    }

    /// No such topic, group or file (exit 3).
    pub fn missing(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Missing, what, next)
    }

    /// Not allowed (exit 4).
    pub fn denied(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Denied, what, next)
    }

    /// The broker can't be reached (exit 7).
    pub fn unreachable(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, what, next)
    }

    /// A file or folder could not be read, written or made: 3 when it is missing, 4 when it is forbidden, else 1.
    pub fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let what = format!("can't {doing} {}: {}", path.display(), plain(error));
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::missing(what, "check the path"),
            std::io::ErrorKind::PermissionDenied => {
                Self::denied(what, "check the owner and mode of the path, or run as its owner")
            }
            _ => Self::failed(what, ""),
        }
    }
}

/// An I/O error in lower case and without Rust's "(os error N)".
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "klog: {}", self.what)?;
        if self.next.is_empty() { Ok(()) } else { write!(out, "\n  {}", self.next) }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_count_up_from_zero() {
        for (code, exit) in Exit::ALL.iter().enumerate() {
            assert_eq!(usize::from(exit.code()), code, "{exit:?}");
        }
    }

    #[test]
    fn a_failure_is_two_lines() {
        let failure = Failure::missing("no topic named x", "list them with: klog topic list");
        assert_eq!(failure.to_string(), "klog: no topic named x\n  list them with: klog topic list");
        assert_eq!(Failure::failed("it broke", "").to_string(), "klog: it broke");
    }

    #[test]
    fn io_errors_read_plainly() {
        let error = std::io::Error::from_raw_os_error(2);
        let failure = Failure::io("read", std::path::Path::new("/x"), &error);
        assert_eq!(failure.what, "can't read /x: no such file or directory");
        assert_eq!(failure.exit, Exit::Missing);
    }
}
