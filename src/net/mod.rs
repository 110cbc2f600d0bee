//! Sockets: one stream type over every transport, TLS included, listening, and one outgoing connection; must never know
//! what travels on them.

mod address;
mod dial;
mod listen;
mod path;
mod send_file;
mod stream;
pub mod tls;

pub use address::{Address, AddressError};
pub use dial::{DialError, dial};
pub use listen::{Accepted, Acceptor, ListenError, Listener};
pub use stream::{FileRange, Remote, SOCKET_BUFFER, SocketOptions, Stream};
