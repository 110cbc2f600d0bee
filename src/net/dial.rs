//! One outgoing connection, with a time-out; must never retry: who dials decides that.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};

use super::path::ShortPath;
use super::{Address, SocketOptions, Stream};

/// Why a connection did not come about.
#[derive(Debug)]
pub struct DialError {
    /// What was dialled.
    pub address: Address,
    /// What the system said; `TimedOut` after the time-out, `NotFound` for a socket file or host that
    /// does not exist, `ConnectionRefused` where nobody listens.
    pub source: io::Error,
}

impl DialError {
    /// Whether nobody listens at a Unix address: the socket file is missing, or left behind by a dead daemon.
    pub fn nobody_there(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}", self.address, self.source)
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Connects within the time-out, which covers name resolution too. A name with several addresses is tried
/// in their order.
pub async fn dial(address: &Address, timeout: Duration) -> Result<Stream, DialError> {
    let attempt = async {
        match address {
            Address::Unix(path) => {
                let short = ShortPath::new(path)?;
                Stream::from_unix(UnixStream::connect(short.as_path()).await?.into_std()?)
            }
            Address::Tcp { host, port } => tcp(host, *port).await,
        }
    };
    let outcome = match tokio::time::timeout(timeout, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    outcome.map_err(|source| DialError { address: address.clone(), source })
}

async fn tcp(host: &str, port: u16) -> io::Result<Stream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(socket) => return Stream::from_tcp(socket.into_std()?, &SocketOptions::default()),
            Err(error) => last = error,
        }
    }
    Err(last)
}
