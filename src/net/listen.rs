//! Listening sockets; must never unlink a path: who holds the data folder's lock does that.

use std::fmt;
use std::fs::{Permissions, set_permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};

use super::path::ShortPath;
use super::{Address, Remote, SocketOptions, Stream};

/// Why listening failed.
#[derive(Debug)]
pub struct ListenError {
    /// What was to be bound.
    pub address: Address,
    /// What the system said; `AddrInUse` for a port or socket file that is taken.
    pub source: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.source)
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A bound and listening socket, not yet tied to a runtime.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Binds and listens. A Unix socket file gets mode 0600 before the first connection can come; a port of 0
    /// becomes the one the kernel chose. `backlog` is what may wait to be accepted (the kernel has a cap).
    pub fn bind(address: &Address, backlog: u32) -> Result<Self, ListenError> {
        let bound = match address {
            Address::Unix(path) => bind_unix(path, backlog).map(Self::from_unix_at(address)),
            Address::Tcp { host, port } => bind_tcp(host, *port, backlog).and_then(Self::from_tcp),
        };
        bound.map_err(|source| ListenError { address: address.clone(), source })
    }

    fn from_unix_at(address: &Address) -> impl FnOnce(UnixListener) -> Self {
        let address = address.clone();
        move |socket| Self { address, socket: Socket::Unix(socket) }
    }

    /// Takes over a listening TCP socket, for instance one that systemd passed.
    pub fn from_tcp(socket: TcpListener) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let address = Address::Tcp { host: local.ip().to_string(), port: local.port() };
        Ok(Self { address, socket: Socket::Tcp(socket) })
    }

    /// Takes over a listening Unix socket, for instance one that systemd passed.
    pub fn from_unix(socket: UnixListener) -> io::Result<Self> {
        let path = socket.local_addr()?.as_pathname().map(ToOwned::to_owned).unwrap_or_default();
        Ok(Self { address: Address::Unix(path), socket: Socket::Unix(socket) })
    }

    /// What it is bound to, with the real port.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Ties it to the current runtime, for accepting.
    pub fn into_acceptor(self) -> io::Result<Acceptor> {
        Ok(match self.socket {
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Acceptor::Unix(tokio::net::UnixListener::from_std(socket)?)
            }
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Acceptor::Tcp(tokio::net::TcpListener::from_std(socket)?)
            }
        })
    }
}

/// A listening socket in a runtime.
#[derive(Debug)]
pub enum Acceptor {
    /// Of a Unix socket.
    Unix(tokio::net::UnixListener),
    /// Of a TCP port.
    Tcp(tokio::net::TcpListener),
}

impl Acceptor {
    /// Waits for the next connection. Errors are those of accept(2); most of them (`EMFILE`, `ECONNABORTED`)
    /// say nothing about the listener, which stays usable.
    pub async fn accept(&self) -> io::Result<Accepted> {
        Ok(Accepted(match self {
            Self::Unix(listener) => Connection::Unix(listener.accept().await?.0.into_std()?),
            Self::Tcp(listener) => {
                let (socket, from) = listener.accept().await?;
                Connection::Tcp(socket.into_std()?, from)
            }
        }))
    }
}

/// An accepted connection, not yet tied to a runtime.
#[derive(Debug)]
pub struct Accepted(Connection);

#[derive(Debug)]
enum Connection {
    Unix(UnixStream),
    Tcp(std::net::TcpStream, SocketAddr),
}

impl Accepted {
    /// Who is at the other end.
    pub fn remote(&self) -> Remote {
        match &self.0 {
            Connection::Unix(_) => Remote::Unix,
            Connection::Tcp(_, from) => Remote::Tcp(*from),
        }
    }

    /// Ties it to the current runtime.
    pub fn into_stream(self, options: &SocketOptions) -> io::Result<Stream> {
        match self.0 {
            Connection::Unix(socket) => Stream::from_unix(socket),
            Connection::Tcp(socket, _) => Stream::from_tcp(socket, options),
        }
    }
}

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

fn bind_unix(path: &Path, backlog: u32) -> io::Result<UnixListener> {
    let short = ShortPath::new(path)?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(short.as_path())?)?;
    set_permissions(short.as_path(), Permissions::from_mode(0o600))?;
    start(&fd, backlog)?;
    Ok(fd.into())
}

fn bind_tcp(host: &str, port: u16, backlog: u32) -> io::Result<TcpListener> {
    let socket = TcpListener::bind((host, port))?; // with SO_REUSEADDR
    start(&socket, backlog)?; // a second listen(2) sets the backlog
    Ok(socket)
}

fn start(socket: &impl AsFd, backlog: u32) -> io::Result<()> {
    let backlog = i32::try_from(backlog).ok().and_then(|backlog| Backlog::new(backlog).ok());
    Ok(listen(socket, backlog.unwrap_or(Backlog::MAXCONN))?)
}
