//! What a topic may be called: Kafka's rules (`org.apache.kafka.common.internals.Topic`), with the reason for a no.

use std::fmt;

/// The longest topic name, in bytes: a partition's folder name must fit a file name.
pub const MAX_TOPIC_NAME: usize = 249;

/// Where the cluster's metadata is kept; not listed by Metadata.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";
/// Where groups and their offsets are kept.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Where transactions are kept.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// Whether clients may read the topic but not produce to it.
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, CLUSTER_METADATA | CONSUMER_OFFSETS | TRANSACTION_STATE)
}

/// Why a topic name is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadTopicName {
    /// The empty name.
    Empty,
    /// `.` or `..`.
    Dots,
    /// Longer than [`MAX_TOPIC_NAME`] bytes; holds the length found.
    TooLong(usize),
    /// Holds a character other than ASCII letters, digits, `.`, `_` and `-`.
    Character(char),
}

impl fmt::Display for BadTopicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "the topic name is empty"),
            Self::Dots => write!(out, "a topic name can not be '.' or '..'"),
            Self::TooLong(len) => {
                write!(out, "the topic name has {len} bytes, at most {MAX_TOPIC_NAME} are allowed")
            }
            Self::Character(found) => {
                write!(
                    out,
                    "the topic name holds {found:?}; allowed are ASCII letters, digits, '.', '_' and '-'"
                )
            }
        }
    }
}

impl std::error::Error for BadTopicName {}

/// Holds `name` against Kafka's rules for topic names.
pub fn check_topic(name: &str) -> Result<(), BadTopicName> {
    if name.is_empty() {
        return Err(BadTopicName::Empty);
    }
    if name == "." || name == ".." {
        return Err(BadTopicName::Dots);
    }
    if let Some(found) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
        return Err(BadTopicName::Character(found));
    }
    if name.len() > MAX_TOPIC_NAME {
        return Err(BadTopicName::TooLong(name.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_against_kafkas_rules() {
        assert_eq!(check_topic("a.B_c-9"), Ok(()));
        assert_eq!(check_topic(&"x".repeat(249)), Ok(()));
        assert_eq!(check_topic(""), Err(BadTopicName::Empty));
        assert_eq!(check_topic(".."), Err(BadTopicName::Dots));
        assert_eq!(check_topic("a/b"), Err(BadTopicName::Character('/')));
        assert_eq!(check_topic("é"), Err(BadTopicName::Character('é')));
        assert_eq!(check_topic(&"x".repeat(250)), Err(BadTopicName::TooLong(250)));
    }
}
