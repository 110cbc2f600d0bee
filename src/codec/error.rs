//! What can be wrong with bytes that came in, or with a value that is to go out; text is made at the edges.

use thiserror::Error;

/// Why bytes are not the value that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer bytes are left than the value takes.
    #[error("{needed} bytes needed, {remaining} left")]
    Truncated {
        /// Bytes the value takes.
        needed: usize,
        /// Bytes that were left.
        remaining: usize,
    },
    /// A length below -1, or -1 where null is not allowed.
    #[error("length {length} is not allowed here")]
    Length {
        /// The length as announced.
        length: i64,
    },
    /// An array of more elements than the remaining bytes can hold.
    #[error("an array of {count} elements can not fit in {remaining} bytes")]
    Count {
        /// Elements announced.
        count: usize,
        /// Bytes that were left.
        remaining: usize,
    },
    /// Decoding would take more memory than a frame of this size may.
    #[error("{count} elements would take more memory than the frame's size allows")]
    Memory {
        /// Elements announced.
        count: usize,
    },
    /// A string of more than [`MAX_STRING`](super::MAX_STRING) bytes.
    #[error("a string of {length} bytes, {} allowed", super::MAX_STRING)]
    StringTooLong {
        /// Bytes announced.
        length: usize,
    },
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A varint that does not end where the largest value of its type would.
    #[error("a varint is too long")]
    Varint,
    /// Null in a version that does not allow it.
    #[error("{field} is null, which version {version} does not allow")]
    Null {
        /// The field's name.
        field: &'static str,
        /// The message's version.
        version: i16,
    },
    /// A tagged field whose value does not take the bytes announced for it.
    #[error("tagged field {tag} was announced with {announced} bytes and takes {taken}")]
    TagSize {
        /// The field's tag.
        tag: u32,
        /// Bytes announced.
        announced: usize,
        /// Bytes its value takes.
        taken: usize,
    },
    /// A version of a message that can not be decoded.
    #[error("version {version} is not supported")]
    Version {
        /// The version asked for.
        version: i16,
    },
}

/// Why a value can not be said in a version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A string, byte field or array longer than its length prefix can say.
    #[error("{length} is too long, {limit} allowed")]
    TooLong {
        /// Bytes or elements.
        length: usize,
        /// The most that can be said.
        limit: usize,
    },
    /// Null in a version that does not allow it.
    #[error("{field} is null, which version {version} can not say")]
    Null {
        /// The field's name.
        field: &'static str,
        /// The message's version.
        version: i16,
    },
    /// A value that matters, in a field that the version does not have.
    #[error("{field} has a value, which version {version} can not say")]
    Field {
        /// The field's name.
        field: &'static str,
        /// The message's version.
        version: i16,
    },
    /// A version of a message that can not be encoded.
    #[error("version {version} is not supported")]
    Version {
        /// The version asked for.
        version: i16,
    },
    /// Lengths were given for another number of records fields than the message has.
    #[error("{given} lengths of records given, {fields} records fields met")]
    Holes {
        /// Lengths given.
        given: usize,
        /// Records fields in the message.
        fields: usize,
    },
}
