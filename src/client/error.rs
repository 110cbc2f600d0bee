//! What can go wrong when speaking to a broker, as facts; the command line turns the kind into an exit code.

use crate::model::id::TopicPartition;
use crate::net::Address;
use crate::net::tls::TlsFailure;
use crate::wire::error::{ERRORS, ErrorCode};
use std::fmt;
use std::io;
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
    /// The system does not let us dial (the permissions of a Unix socket or its folder).
    Forbidden {
        /// The address dialled.
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
    /// No encrypted connection came about.
    Tls {
        /// The address.
        address: String,
        /// Why.
        failure: TlsFailure,
    },
    /// The broker does not believe that we are who we say.
    Authentication {
        /// The address.
        address: String,
        /// What it said.
        reason: String,
        /// What to do next.
        next: String,
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
        code: ErrorCode,
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
    /// The broker may have committed the transaction or not: its answer never came.
    CommitUnknown {
        /// The transactional id.
        id: String,
        /// The last thing that went wrong.
        last: String,
    },
    /// A transaction's calls came in an order that makes no sense, like a commit of none; the text says what.
    Transaction(&'static str),
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
    /// A broker's error code about `what`.
    pub(super) fn broker(code: ErrorCode, what: impl Into<String>, message: Option<String>) -> Self {
        Self::Broker { code, what: what.into(), message: message.filter(|text| !text.is_empty()) }
    }

    /// What the error means for the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Silent { .. } => ErrorKind::Unreachable,
            Self::Forbidden { .. } | Self::Authentication { .. } => ErrorKind::NotAllowed,
            Self::Tls { failure, .. } => match failure {
                TlsFailure::Untrusted(_) | TlsFailure::OtherName(_) | TlsFailure::NotTaken(_) => {
                    ErrorKind::NotAllowed
                }
                TlsFailure::NotTls | TlsFailure::Other(_) => ErrorKind::Failed,
            },
            Self::UnknownTopic(_) | Self::UnknownPartition { .. } => ErrorKind::NotFound,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Option(_) => ErrorKind::Usage,
            Self::Broker { code, .. } => kind_of(*code),
            _ => ErrorKind::Failed,
        }
    }

    /// What to do about it, one line, where the error itself knows; empty otherwise.
    pub fn next(&self) -> &str {
        match self {
            Self::Authentication { next, .. } => next,
            Self::Tls { failure, .. } => match failure {
                TlsFailure::Untrusted(_) => {
                    "name the certificate of the broker's authority with -X ssl.ca.location=FILE"
                }
                TlsFailure::OtherName(_) => {
                    "dial the broker by a name in its certificate, or let any name pass with -X ssl.endpoint.identification.algorithm="
                }
                TlsFailure::NotTaken(_) => {
                    "show a certificate that the broker trusts: -X ssl.certificate.location=FILE -X ssl.key.location=FILE"
                }
                TlsFailure::NotTls => {
                    "if the port has no TLS, leave it out: -X security.protocol=PLAINTEXT or SASL_PLAINTEXT"
                }
                TlsFailure::Other(_) => "",
            },
            _ => "",
        }
    }

    /// Kafka's error code, if a broker answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same call may succeed a moment later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Silent { .. }
            | Self::Disconnected { .. }
            | Self::TimedOut { .. } => true,
            Self::Broker { code, .. } => code.retriable(),
            _ => false,
        }
    }
}

fn kind_of(code: ErrorCode) -> ErrorKind {
    match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::TRANSACTIONAL_ID_NOT_FOUND
        | ErrorCode::RESOURCE_NOT_FOUND => ErrorKind::NotFound,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::GROUP_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        | ErrorCode::SASL_AUTHENTICATION_FAILED
        | ErrorCode::UNSUPPORTED_SASL_MECHANISM
        | ErrorCode::ILLEGAL_SASL_STATE => ErrorKind::NotAllowed,
        _ => ErrorKind::Failed,
    }
}

/// An error code that Kafka has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownError {
    /// Its number.
    pub code: i16,
    /// Its name, in capitals.
    pub name: &'static str,
    /// Whether the same request may succeed a moment later.
    pub retriable: bool,
}

/// Every error code of Kafka 4.3, by number.
pub fn known_errors() -> impl Iterator<Item = KnownError> {
    let one = |&(code, name, retriable): &(ErrorCode, &'static str, bool)| KnownError {
        code: code.code(),
        name,
        retriable,
    };
    ERRORS.iter().map(one)
}

/// A system error without Rust's "(os error 111)".
pub(super) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// A connection that ended by an error: what TLS says of it, else that it is lost.
pub(super) fn lost(address: &Address, error: &io::Error) -> ClientError {
    let address = address.to_string();
    match TlsFailure::of(error) {
        Some(failure) => ClientError::Tls { address, failure },
        None => ClientError::Disconnected { address, reason: system_text(error) },
    }
}

/// A time in seconds for a text, to the millisecond: what is left of a limit is no round number.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

impl fmt::Display for ClientError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { address, reason } | Self::Forbidden { address, reason } => {
                write!(out, "cannot connect to {address}: {reason}")
            }
            Self::Silent { address, after } => {
                write!(out, "no answer from {address} in {} s", seconds(*after))
            }
            Self::Disconnected { address, reason } => write!(out, "connection to {address} lost: {reason}"),
            Self::TimedOut { what, after } => {
                write!(out, "no answer to {what} in {} s", seconds(*after))
            }
            Self::Protocol { address, reason } => {
                write!(out, "what answers at {address} does not speak as a Kafka broker does: {reason}")
            }
            Self::Tls { address, failure } => write!(out, "no TLS with {address}: {failure}"),
            Self::Authentication { address, reason, .. } => {
                write!(out, "{address} does not let us in: {reason}")
            }
            Self::Unsupported { api, offered: None } => write!(out, "the broker does not offer {api}"),
            Self::Unsupported { api, offered: Some((min, max)) } => {
                write!(
                    out,
                    "the broker offers {api} in versions {min} to {max}, none of which this client speaks"
                )
            }
            Self::Broker { code, what, message } => match message {
                Some(message) => write!(out, "{what}: {message} ({code})"),
                None => write!(out, "{what}: {code}"),
            },
            Self::UnknownTopic(topic) => write!(out, "no topic {topic}"),
            Self::UnknownPartition { partition, count } => write!(
                out,
                "no partition {} of topic {}, which has {count}",
                partition.partition, partition.topic
            ),
            Self::RecordTooLarge { ordinal, size, limit } => {
                write!(out, "record {} has {size} bytes as a batch of its own", ordinal + 1)?;
                match limit {
                    Some(limit) => write!(out, ", at most {limit} are allowed"),
                    None => write!(out, ", more than the topic allows (max.message.bytes)"),
                }
            }
            Self::DeliveryTimeout { partition, after, last } => write!(
                out,
                "records for {partition} were not acknowledged in {} s; the last failure: {last}",
                seconds(*after)
            ),
            Self::CommitUnknown { id, last } => {
                write!(out, "it is not known whether the transaction of {id} is committed: {last}")
            }
            Self::Transaction(text) => out.write_str(text),
            Self::Corrupt { partition, offset, reason } => {
                write!(out, "damaged data in {partition} at offset {offset}: {reason}")
            }
            Self::OutOfRange { partition, offset, start, end } => {
                write!(out, "offset {offset} of {partition} does not exist; it has {start} to {end}")
            }
            Self::Option(text) => out.write_str(text),
            Self::Closed => write!(out, "the client was closed"),
        }
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_contract_of_exit_codes() {
        let broker = |code| ClientError::broker(code, "topic t", None).kind();
        assert_eq!(broker(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), ErrorKind::NotFound);
        assert_eq!(broker(ErrorCode::GROUP_AUTHORIZATION_FAILED), ErrorKind::NotAllowed);
        assert_eq!(broker(ErrorCode::INVALID_CONFIG), ErrorKind::Failed);
        assert_eq!(ClientError::UnknownTopic("t".into()).kind(), ErrorKind::NotFound);
        let refused = ClientError::Refused { address: "a:1".into(), reason: "refused".into() };
        assert_eq!(refused.kind(), ErrorKind::Unreachable);
        assert!(refused.is_retriable());
        assert!(!ClientError::UnknownTopic("t".into()).is_retriable());
    }

    #[test]
    fn texts_say_what_and_on_what() {
        let error = ClientError::broker(ErrorCode::POLICY_VIOLATION, "topic t", Some("too many".into()));
        assert_eq!(error.to_string(), "topic t: too many (POLICY_VIOLATION)");
        let error = ClientError::RecordTooLarge { ordinal: 0, size: 9, limit: Some(8) };
        assert_eq!(error.to_string(), "record 1 has 9 bytes as a batch of its own, at most 8 are allowed");
        for (after, text) in [(9_999_996, "10"), (250_000, "0.25"), (1_500_400, "1.5")] {
            let error = ClientError::Silent { address: "a:1".into(), after: Duration::from_micros(after) };
            assert_eq!(error.to_string(), format!("no answer from a:1 in {text} s"));
        }
        let error = io::Error::from_raw_os_error(111);
        assert_eq!(system_text(&error), "Connection refused");
    }
}
