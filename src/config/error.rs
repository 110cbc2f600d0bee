//! What can be wrong with flags, variables and config files, as facts; never exits or prints.

use std::fmt;
use std::path::PathBuf;

use super::Origin;

/// A place in a config file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.path.display(), self.line)
    }
}

/// Why a setting can not be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file can't be read.
    Read {
        /// The file that was named.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file is not TOML, or not a properties file.
    Syntax {
        /// Where reading stopped.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A key nobody knows.
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key as written.
        key: String,
        /// The section it stands in; empty at the top.
        section: String,
        /// Known names that are nearest, or all when there are few.
        allowed: Vec<String>,
    },
    /// A value of another type than its key takes.
    WrongType {
        /// Where it stands.
        place: Place,
        /// The key as written.
        key: String,
        /// The type found.
        found: &'static str,
        /// The type wanted.
        wanted: &'static str,
    },
    /// A profile was chosen that the file does not have.
    NoSuchProfile {
        /// The name asked for.
        name: String,
        /// Who asked.
        origin: Origin,
        /// The profiles there are.
        known: Vec<String>,
        /// The config file, when there is one.
        path: Option<PathBuf>,
    },
    /// An address that can't be read.
    BadAddress {
        /// The address as written.
        text: String,
        /// Who said it.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
    /// A client property that does not exist or whose value is not allowed.
    Property {
        /// Who said it.
        origin: Origin,
        /// What is wrong with it, naming it.
        reason: String,
    },
    /// A `-X` or `-c` that is not `key=value`.
    NotAPair {
        /// The flag.
        flag: &'static str,
        /// What was given.
        text: String,
    },
    /// `log.dirs` with more than one folder.
    SeveralFolders {
        /// The folders as written.
        text: String,
        /// Who said it.
        origin: Origin,
    },
    /// A variable that is neither yes nor no.
    NotABool {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// No home folder to put the data folder in.
    NoHome,
}

impl ConfigError {
    /// The next thing to do, one line.
    pub fn next(&self) -> String {
        match self {
            Self::Read { .. } => "check the path given with -F or KLOG_CONFIG".into(),
            Self::Syntax { .. } => "mend that line; the format is TOML, for *.properties key=value".into(),
            Self::UnknownKey { allowed, .. } if allowed.len() == 1 => format!("did you mean {}?", allowed[0]),
            Self::UnknownKey { allowed, .. } => format!("allowed here: {}", allowed.join(", ")),
            Self::WrongType { key, wanted, .. } => format!("give {key} {wanted}"),
            Self::NoSuchProfile { known, .. } if known.is_empty() => {
                "add a [profiles.NAME] section, or leave the profile out".into()
            }
            Self::NoSuchProfile { known, .. } => format!("the file has: {}", known.join(", ")),
            Self::BadAddress { .. } => "write unix:PATH or HOST:PORT[,HOST:PORT...]".into(),
            Self::Property { .. } => {
                "client properties go by Kafka's names: -X request.timeout.ms=5000".into()
            }
            Self::NotAPair { flag, .. } => format!("write {flag} key=value"),
            Self::SeveralFolders { .. } => "name one folder, or give --data DIR".into(),
            Self::NotABool { name, .. } => format!("set {name} to 1 or 0"),
            Self::NoHome => "set HOME or KLOG_DATA, or give --data DIR".into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => {
                write!(out, "can't read the config file {}: {error}", path.display())
            }
            Self::Syntax { place, message } => write!(out, "{place}: {message}"),
            Self::UnknownKey { place, key, section, .. } if section.is_empty() => {
                write!(out, "{place}: unknown key {key:?}")
            }
            Self::UnknownKey { place, key, section, .. } => {
                write!(out, "{place}: unknown key {key:?} in [{section}]")
            }
            Self::WrongType { place, key, found, wanted } => {
                write!(out, "{place}: {key} is {found}, wanted {wanted}")
            }
            Self::NoSuchProfile { name, origin, path: Some(path), .. } => {
                write!(out, "no profile {name:?} (from {origin}) in {}", path.display())
            }
            Self::NoSuchProfile { name, origin, path: None, .. } => {
                write!(out, "no profile {name:?} (from {origin}): there is no config file")
            }
            Self::BadAddress { text, origin, reason } => {
                write!(out, "{text:?} (from {origin}) is no broker address: {reason}")
            }
            Self::Property { origin, reason } => write!(out, "{reason} (from {origin})"),
            Self::NotAPair { flag, text } => write!(out, "{flag} {text}: found no '='"),
            Self::SeveralFolders { text, origin } => {
                write!(out, "log.dirs={text} (from {origin}): klog keeps its data in one folder")
            }
            Self::NotABool { name, value } => write!(out, "{name} is {value:?}, neither yes nor no"),
            Self::NoHome => write!(out, "there is no home folder to keep the data in"),
        }
    }
}

impl std::error::Error for ConfigError {}
