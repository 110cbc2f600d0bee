//! Where to listen or dial, as the user writes it: `unix:PATH` or `HOST:PORT`; must never resolve names.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One address of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A Unix stream socket at a path of any length.
    Unix(PathBuf),
    /// A host name or IP address and a port.
    Tcp {
        /// Name or address, IPv6 without its brackets.
        host: String,
        /// 0 asks a listener for any free port.
        port: u16,
    },
}

impl Address {
    /// Parses a list as `-b` takes it: addresses separated by commas, blanks around them ignored.
    /// Never empty. A `unix:` address ends at a comma too.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AddressError> {
        text.split(',').map(|one| one.trim().parse()).collect()
    }

    /// Whether this is a Unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing stands where an address should.
    Empty,
    /// `unix:` without a path.
    NoPath,
    /// No `:PORT` at the end.
    NoPort {
        /// The address as given.
        text: String,
    },
    /// The port is not a number from 0 to 65535.
    BadPort {
        /// The address as given.
        text: String,
    },
    /// The host is empty, has a blank or a slash in it, or its brackets do not match.
    BadHost {
        /// The address as given.
        text: String,
    },
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FORMS: &str = "an address is unix:PATH or HOST:PORT";
        match self {
            Self::Empty => write!(f, "empty address; {FORMS}"),
            Self::NoPath => write!(f, "'unix:' needs a path; {FORMS}"),
            Self::NoPort { text } => write!(f, "'{text}' has no port; {FORMS}"),
            Self::BadPort { text } => write!(f, "the port of '{text}' is not a number from 0 to 65535"),
            Self::BadHost { text } => write!(f, "the host of '{text}' is not a name or an address; {FORMS}"),
        }
    }
}

impl std::error::Error for AddressError {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(AddressError::NoPath) } else { Ok(Self::Unix(path.into())) };
        }
        let own = || text.to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::NoPort { text: own() })?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(|| AddressError::BadHost { text: own() })?,
            None if host.contains(':') => return Err(AddressError::NoPort { text: own() }),
            None => host,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/[]".contains(c)) {
            return Err(AddressError::BadHost { text: own() });
        }
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressError::BadPort { text: own() });
        }
        let port = port.parse().map_err(|_| AddressError::BadPort { text: own() })?;
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn both_forms_parse_and_print() {
        for (text, address) in [
            ("unix:/run/klog.sock", Address::Unix("/run/klog.sock".into())),
            ("unix:rel/a:b", Address::Unix("rel/a:b".into())),
            ("localhost:9092", tcp("localhost", 9092)),
            ("127.0.0.1:0", tcp("127.0.0.1", 0)),
            ("[::1]:9092", tcp("::1", 9092)),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()), "{text}");
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(
            Address::parse_list("a:1, b:2,unix:/x"),
            Ok(vec![tcp("a", 1), tcp("b", 2), Address::Unix("/x".into())])
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let refused = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(refused(""), AddressError::Empty);
        assert_eq!(refused("unix:"), AddressError::NoPath);
        for text in ["localhost", "/run/x.sock", "::1"] {
            assert_eq!(refused(text), AddressError::NoPort { text: text.into() });
        }
        for text in ["a:", "a:b", "a:65536", "a:+1", "[::1]:"] {
            assert_eq!(refused(text), AddressError::BadPort { text: text.into() });
        }
        for text in [":1", "[::1:1", "a b:1", "a/b:1", "http://x:1", "[]:1"] {
            let error = refused(text);
            assert!(
                matches!(error, AddressError::BadHost { .. } | AddressError::NoPort { .. }),
                "{text}: {error:?}"
            );
        }
        assert_eq!(Address::parse_list("a:1,"), Err(AddressError::Empty));
    }
}
