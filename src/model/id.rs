//! Topic ids and the pair that names a partition; never a name that was not checked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A topic's id: 16 bytes, shown as 22 characters of URL-safe base64 (Kafka's `Uuid.toString`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TopicId(pub [u8; 16]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl TopicId {
    /// "No id": all zero, as the protocol says it.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is [`TopicId::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.chunks(3) {
            let word =
                chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
            for place in 0..=chunk.len() {
                let index = (word >> (18 - 6 * place)) & 63;
                write!(out, "{}", char::from(ALPHABET[index as usize]))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A text that is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnId;

impl FromStr for TopicId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let text = text.trim_end_matches('=');
        if text.len() != 22 {
            return Err(NotAnId);
        }
        let mut bits = 0u128;
        let mut last = 0;
        for (place, byte) in text.bytes().enumerate() {
            let value = ALPHABET.iter().position(|&letter| letter == byte).ok_or(NotAnId)? as u128;
            if place < 21 {
                bits = bits << 6 | value;
            } else {
                last = value;
            }
        }
        if last & 15 != 0 {
            return Err(NotAnId);
        }
        Ok(Self((bits << 2 | last >> 4).to_be_bytes()))
    }
}

/// A partition by its topic's name and its index (0 or more).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index within the topic.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kafkas_text_both_ways() {
        // org.apache.kafka.common.Uuid.METADATA_TOPIC_ID and a drawn one.
        let metadata = TopicId(1u128.to_be_bytes());
        assert_eq!(metadata.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(metadata));
        let drawn = TopicId([0xff, 0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0x5a]);
        assert_eq!(drawn.to_string().parse(), Ok(drawn));
        for wrong in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAB"] {
            assert_eq!(wrong.parse::<TopicId>(), Err(NotAnId), "{wrong}");
        }
    }
}
