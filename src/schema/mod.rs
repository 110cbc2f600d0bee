//! Keys and values of the internal topics, and what clients embed in group messages.

pub mod metadata;

/// Why bytes of an internal topic, or of a client's group message, can not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
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
