//! How far a connection's SASL authentication has come, as values; the steps themselves are `auth`'s.

use std::fmt;
use std::str::FromStr;

use crate::auth::scram::Server;

/// A SASL mechanism that clients may use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// `PLAIN` (RFC 4616).
    Plain,
    /// `SCRAM-SHA-256` (RFC 7677).
    ScramSha256,
    /// `SCRAM-SHA-512`, which is SCRAM (RFC 5802) with that hash.
    ScramSha512,
}

impl Mechanism {
    /// All there are, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Its name in SaslHandshake and in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A name that no mechanism has here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no SASL mechanism {0}; klog has PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512")]
pub struct NoMechanism(pub String);

impl FromStr for Mechanism {
    type Err = NoMechanism;

    fn from_str(text: &str) -> Result<Self, NoMechanism> {
        let named = Self::ALL.into_iter().find(|mechanism| mechanism.name() == text);
        named.ok_or_else(|| NoMechanism(text.to_owned()))
    }
}

/// How far an authentication has come.
#[derive(Default)]
pub enum SaslExchange {
    /// No SaslHandshake yet, or a new one is due.
    #[default]
    Start,
    /// A mechanism was agreed on; its first message is awaited.
    Handshaken(Mechanism),
    /// A challenge was sent; the client's proof is awaited.
    Scram(Box<Server>),
    /// The client has proved who it is.
    Done,
}
