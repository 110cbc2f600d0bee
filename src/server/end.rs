//! How connections end, as values and as one line of the log; must never be an error of the daemon's.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a connection's bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A negative length.
    Negative(i32),
    /// Too short for a request header.
    TooShort(i32),
    /// Over `socket.request.max.bytes`.
    TooLong { announced: i32, allowed: usize },
    /// A web browser or script: `GET `, `POST` ...
    Http,
    /// A TLS handshake on a listener without TLS.
    Tls,
    /// A large frame whose first bytes name no API that exists.
    UnknownApi(i16),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative(length) => write!(f, "it announced a request of {length} bytes"),
            Self::TooShort(length) => {
                write!(f, "it announced a request of {length} bytes, too short for a header")
            }
            Self::TooLong { announced, allowed } => {
                write!(
                    f,
                    "it announced a request of {announced} bytes; socket.request.max.bytes allows {allowed}"
                )
            }
            Self::Http => write!(f, "it speaks HTTP; this port speaks the Kafka protocol"),
            Self::Tls => write!(f, "it began a TLS handshake; this listener has no TLS"),
            Self::UnknownApi(key) => {
                write!(f, "it began a long request for API key {key}, which does not exist")
            }
        }
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer closed it between requests.
    Closed,
    /// The peer closed it in the middle of a request.
    Truncated,
    /// Its bytes are no request.
    Refused(Refusal),
    /// A request header that can not be read.
    Header(Box<dyn Error + Send + Sync>),
    /// The broker said so.
    Broker(String),
    /// An answer longer than a length prefix can say.
    TooLong,
    /// The system said so, or an answer's file ended early.
    Io(io::Error),
    /// The peer of an unfinished request said nothing for too long.
    Stalled,
    /// Nothing happened for `connections.max.idle.ms`.
    Idle,
    /// The server stops.
    Stopped,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "closed by its peer"),
            Self::Truncated => write!(f, "closed by its peer in the middle of a request"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Header(error) => write!(f, "its request header can not be read: {error}"),
            Self::Broker(reason) => write!(f, "{reason}"),
            Self::TooLong => write!(f, "an answer came out longer than a length prefix can say"),
            Self::Io(error) => error.fmt(f),
            Self::Stalled => write!(f, "its peer stopped in the middle of a request"),
            Self::Idle => write!(f, "idle for connections.max.idle.ms"),
            Self::Stopped => write!(f, "the server stops"),
        }
    }
}
