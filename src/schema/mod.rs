//! Keys and values of the internal topics, and what clients embed in group messages.

pub mod consumer;
pub mod groups;
pub mod kraft;
pub mod metadata;
pub mod offsets;
pub mod share;
pub mod shown;
pub mod transactions;

use crate::codec::{DecodeError, EncodeError, Reader};

/// Why bytes of an internal topic, or of a client's group message, can not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The bytes are not what they should be.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// The value can not be said.
    #[error("{0}")]
    Encode(#[from] EncodeError),
    /// The metadata log's frame has another version than 1.
    #[error("metadata record in frame version {0}; only version 1 is known")]
    FrameVersion(u32),
    /// The version of a key, value or record is outside what is known.
    #[error("{what} in version {found}; known are {min} to {max}")]
    Version {
        /// What was being read.
        what: &'static str,
        /// The version found.
        found: i32,
        /// Oldest version known.
        min: i16,
        /// Newest version known.
        max: i16,
    },
    /// Bytes are left behind a whole record.
    #[error("{left} bytes are left behind a whole {what}")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// How many bytes are left.
        left: usize,
    },
}

/// Makes sure that nothing is left behind a value that was read.
fn whole(reader: &Reader, what: &'static str) -> Result<(), SchemaError> {
    match reader.remaining() {
        0 => Ok(()),
        left => Err(SchemaError::Trailing { what, left }),
    }
}

/// Bytes as text, for tests that hold this module against bytes that Kafka made.
#[cfg(test)]
mod golden {
    use bytes::Bytes;

    pub(super) fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn bytes(hex: &str) -> Bytes {
        let digit = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
        hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }
}
