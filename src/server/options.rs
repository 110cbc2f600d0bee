//! What the server is started with, as plain values; must never read a setting itself.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::ListenerSecurity;
use crate::net::tls::ServerTls;
use crate::net::{Address, ListenError, Listener, SocketOptions};

/// A listening socket and how its clients are told to reach this node.
#[derive(Debug)]
pub struct ListenerOptions {
    /// Bound already, so that whoever starts the daemon learns of a taken port first.
    pub listener: Listener,
    /// Host and port that answers name (Kafka's `advertised.listeners`). None: the bound address, and for
    /// a wildcard address the one the connection came in on. Unix listeners always say `unix`, 0.
    pub advertised: Option<(String, u16)>,
    /// What it asks of its clients.
    pub security: ListenerSecurity,
    /// What encrypts its connections; only on TCP.
    pub tls: Option<Arc<ServerTls>>,
}

impl ListenerOptions {
    /// Connections that may wait to be accepted.
    const BACKLOG: u32 = 1024;

    /// A socket that listens already, to anybody and without encryption.
    pub fn plain(listener: Listener) -> Self {
        Self { listener, advertised: None, security: ListenerSecurity::default(), tls: None }
    }

    /// Encrypts its connections.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<ServerTls>) -> Self {
        self.security.tls = true;
        self.tls = Some(tls);
        self
    }

    /// Binds `address`; `advertised` as in the field.
    ///
    /// # Errors
    /// The system refuses: a taken port, a name that does not resolve, no right.
    pub fn bind(address: &Address, advertised: Option<(String, u16)>) -> Result<Self, ListenError> {
        Ok(Self { advertised, ..Self::plain(Listener::bind(address, Self::BACKLOG)?) })
    }

    /// Binds a Unix socket at `path`.
    ///
    /// # Errors
    /// As [`ListenerOptions::bind`]; a file at the path is one.
    pub fn bind_unix(path: &Path) -> Result<Self, ListenError> {
        Self::bind(&Address::Unix(path.to_owned()), None)
    }

    /// Takes a TCP socket that listens already.
    ///
    /// # Errors
    /// It has no local address.
    pub fn from_tcp(socket: TcpListener) -> io::Result<Self> {
        Ok(Self::plain(Listener::from_tcp(socket)?))
    }

    /// Takes a Unix socket that listens already.
    ///
    /// # Errors
    /// It has no local address.
    pub fn from_unix(socket: UnixListener) -> io::Result<Self> {
        Ok(Self::plain(Listener::from_unix(socket)?))
    }
}

/// What the server needs to start.
#[derive(Debug, Default)]
pub struct ServerOptions {
    /// Sockets to accept from, bound and listening. At least one.
    pub listeners: Vec<ListenerOptions>,
    /// Sockets that show metrics, status and health over HTTP, bound and listening.
    pub http: Vec<ListenerOptions>,
    /// Worker threads; 0 means one for each core.
    pub workers: usize,
    /// Bounds on what clients may hold.
    pub limits: Limits,
    /// Buffers of TCP connections (Kafka's `socket.send.buffer.bytes`, `socket.receive.buffer.bytes`; -1 is none).
    pub sockets: SocketOptions,
}

/// Bounds on what clients may hold, by Kafka's setting names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `socket.request.max.bytes`: longest request, without its length prefix.
    pub request_max_bytes: usize,
    /// `sasl.server.max.receive.size`: the same before a client has authenticated, where that is demanded.
    pub sasl_max_bytes: usize,
    /// `queued.max.request.bytes`: what unfinished requests of all connections may hold together; the first
    /// 8 KiB of each do not count.
    pub queued_max_request_bytes: usize,
    /// `connections.max.idle.ms`: a connection is closed after so long without a byte either way.
    pub idle: Duration,
    /// `max.connections`.
    pub max_connections: usize,
    /// `max.connections.per.ip`; Unix connections have none.
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`, names resolved.
    pub max_connections_per_ip_overrides: HashMap<IpAddr, usize>,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the peer of an unfinished request may stay silent.
    pub stall: Duration,
    /// The same while other requests wait for the room it holds.
    pub stall_contended: Duration,
    /// How long `stop` waits for answers in hand.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_max_bytes: 100 << 20,
            sasl_max_bytes: 512 << 10,
            queued_max_request_bytes: 32 << 20,
            idle: Duration::from_secs(600),
            max_connections: usize::MAX,
            max_connections_per_ip: usize::MAX,
            max_connections_per_ip_overrides: HashMap::new(),
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            stall_contended: Duration::from_secs(1),
            drain: Duration::from_secs(5),
        }
    }
}
