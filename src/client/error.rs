//! What can go wrong when speaking to a broker, as facts; the command line turns the kind into an exit code.

use crate::model::id::TopicPartition;
use std::fmt;
use std::time::Duration;

/// What an error means for whoever called, the base of the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// No such topic, partition or group (exit 3).
    NotFound,
    /// Authentication or authorisation said no (exit 4).
    NotAllowed,
    /// No broker of the list can be reached (exit 7).
    Unreachable,
    /// The data read is damaged (exit 8).
    Corrupt,
    /// A setting or an argument is wrong (exit 2).
    Usage,
    /// Anything else (exit 1).
    Failed,
}

/// An error of the client, with its facts. `Display` is one line without a final full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens there (refused, no such socket or host). Known at once.
    Refused {
        /// The address dialled, as a person writes it.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Somebody may listen but says nothing.
    Silent {
        /// The address dialled.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended while a request was under way.
    Disconnected {
        /// The address.
        address: String,
        /// What the system said, or "closed by the broker".
        reason: String,
    },
    /// No answer to a request in its time.
    TimedOut {
        /// What was asked, like "Metadata".
        what: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// What answered does not speak the Kafka protocol, or not as announced.
    Protocol {
        /// The address.
        address: String,
        /// What was found.
        reason: String,
    },
    /// The broker is too old or too new for a request that is needed.
    Unsupported {
        /// The API's name.
        api: &'static str,
        /// The versions the broker offers, if any.
        offered: Option<(i16, i16)>,
    },
    /// The broker's answer is an error code.
    Broker {
        /// Kafka's error code.
        code: i16,
        /// What was asked about, like "topic orders" or "group g".
        what: String,
        /// The broker's own words, where it sent some.
        message: Option<String>,
    },
    /// The topic does not exist (and the broker does not make it).
    UnknownTopic(String),
    /// The topic exists, the partition does not.
    UnknownPartition {
        /// The partition asked for.
        partition: TopicPartition,
        /// How many partitions the topic has.
        count: i32,
    },
    /// A record is larger than what the producer or the topic takes.
    RecordTooLarge {
        /// The how manieth record pushed into this producer, from 0.
        ordinal: u64,
        /// Its size in bytes as a batch of its own.
        size: usize,
        /// The largest batch allowed, where it is known.
        limit: Option<usize>,
    },
    /// Records were not acknowledged within `delivery.timeout.ms`.
    DeliveryTimeout {
        /// The partition that stopped.
        partition: TopicPartition,
        /// How long was tried.
        after: Duration,
        /// The last thing that went wrong.
        last: String,
    },
    /// Fetched data is damaged.
    Corrupt {
        /// Where.
        partition: TopicPartition,
        /// The offset of the batch.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The position asked for is outside the log and the reset policy is to fail.
    OutOfRange {
        /// Where.
        partition: TopicPartition,
        /// The position asked for.
        offset: i64,
        /// The first offset that exists.
        start: i64,
        /// The end.
        end: i64,
    },
    /// A setting is wrong; the text says which and what is allowed.
    Option(String),
    /// The client was closed while the call waited.
    Closed,
}

impl ClientError {
    /// What the error means for the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Silent { .. } => ErrorKind::Unreachable,
            Self::UnknownTopic(_) | Self::UnknownPartition { .. } => ErrorKind::NotFound,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Option(_) => ErrorKind::Usage,
            _ => ErrorKind::Failed,
        }
    }

    /// Kafka's error code, if a broker answered with one.
    pub fn code(&self) -> Option<i16> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

impl std::error::Error for ClientError {}
