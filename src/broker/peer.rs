//! Who is at the other end of a connection, as far as answers depend on it; knows no socket.

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Came through a Unix socket: node addresses are then host `unix`, port 0.
    pub unix: bool,
    /// What node addresses say on TCP: the listener's advertised host and port.
    pub advertised: (String, i32),
    /// The client's address as group descriptions show it, e.g. `/127.0.0.1`.
    pub client_host: String,
    /// Who the client is, e.g. `User:ANONYMOUS`.
    pub principal: String,
}

impl Peer {
    /// Host and port by which this peer reaches this node.
    pub fn address(&self) -> (&str, i32) {
        if self.unix { ("unix", 0) } else { (&self.advertised.0, self.advertised.1) }
    }
}
