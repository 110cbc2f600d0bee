//! Broker addresses as text: `unix:PATH` or `HOST:PORT[,HOST:PORT...]`; never looks a name up.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// One or more nodes of a cluster: host and port. An IPv6 host is without its brackets.
    Tcp(Vec<(String, u16)>),
}

impl Address {
    /// Reads an address; says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err("the path is empty") } else { Ok(Self::Unix(path.into())) };
        }
        if text.starts_with(['/', '.']) {
            return Err("a path needs unix: before it");
        }
        let nodes = text.split(',').map(|node| host_port(node.trim())).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Tcp(nodes))
    }

    /// The socket of the daemon that owns the data folder `data`.
    pub fn of_data(data: &Path) -> Self {
        Self::Unix(data.join("klog.sock"))
    }
}

fn host_port(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or("after [ADDRESS] a :PORT is missing")?,
        None => text.rsplit_once(':').ok_or("the port is missing")?,
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    if host.contains(':') && !text.starts_with('[') {
        return Err("an IPv6 address goes in brackets: [::1]:9092");
    }
    match port.parse() {
        Ok(0) | Err(_) => Err("the port is not a number from 1 to 65535"),
        Ok(port) => Ok((host.to_owned(), port)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp(nodes) => {
                for (index, (host, port)) in nodes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    if host.contains(':') {
                        write!(out, "{comma}[{host}]:{port}")?;
                    } else {
                        write!(out, "{comma}{host}:{port}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_both_ways() {
        for text in ["unix:/run/k.sock", "localhost:9092", "a:1,b:2", "[::1]:9092", "unix:rel/k.sock"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("unix:///x"), Ok(Address::Unix("/x".into())));
        assert_eq!(Address::parse("a:1, b:2"), Address::parse("a:1,b:2"));
    }

    #[test]
    fn what_is_no_address() {
        for (text, reason) in [
            ("", "the port is missing"),
            ("localhost", "the port is missing"),
            (":9092", "the host is missing"),
            ("h:0", "the port is not a number from 1 to 65535"),
            ("h:x", "the port is not a number from 1 to 65535"),
            ("h:1,", "the port is missing"),
            ("::1:9092", "an IPv6 address goes in brackets: [::1]:9092"),
            ("unix:", "the path is empty"),
            ("/tmp/k.sock", "a path needs unix: before it"),
        ] {
            assert_eq!(Address::parse(text), Err(reason), "{text:?}");
        }
    }
}
