//! What can be wrong with batch bytes, as facts; text and protocol codes are chosen at the edges.

use std::fmt;

/// Why a batch was refused. `Display` gives one line without the topic, which the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    /// The bytes end before what they announce (`needed` bytes from the batch's start, where known).
    Truncated {
        /// Bytes that the announced length asks for.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
    /// `batch_length` is below the smallest batch (49) or negative.
    BadLength(i32),
    /// The message format is not version 2.
    BadMagic(i8),
    /// The stored CRC-32C differs from that of the bytes.
    BadCrc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// Attribute bits 0 to 2 name no codec.
    UnknownCodec(u8),
    /// zstd is allowed from Produce version 7 and Fetch version 10 on.
    CodecNotAllowed {
        /// The codec's name.
        codec: &'static str,
        /// The request's version.
        version: i16,
    },
    /// The compressed payload can not be read.
    BadCompression {
        /// The codec's name.
        codec: &'static str,
    },
    /// The payload inflates to more than the limit, in bytes.
    TooLargeInflated {
        /// The limit in bytes.
        limit: usize,
    },
    /// The batch is larger than the topic allows.
    TooLarge {
        /// Its size in bytes, header included.
        size: usize,
        /// `max.message.bytes` of the topic.
        limit: usize,
    },
    /// A partition's data held this many batches where exactly one is allowed (Produce from version 3 on).
    NotOneBatch {
        /// Batches found; 0 for empty data.
        found: usize,
    },
    /// A client's batch must begin at offset 0.
    BadBaseOffset(i64),
    /// The count is not positive or does not agree with the last offset delta.
    BadCount {
        /// The header's record count.
        count: i32,
        /// The header's last offset delta.
        last_offset_delta: i32,
    },
    /// The payload holds bytes behind the last record that the header counts.
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// A producer id without a valid epoch or sequence.
    BadProducer {
        /// The header's producer id.
        id: i64,
        /// The header's producer epoch.
        epoch: i16,
        /// The header's base sequence.
        sequence: i32,
    },
    /// Clients may not write control batches.
    ControlFromClient,
    /// Clients may not claim that timestamps are the broker's.
    LogAppendFromClient,
    /// A transactional batch without a producer id.
    TransactionalWithoutProducer,
    /// A record is malformed; `index` counts from 0.
    Malformed {
        /// Which record of the batch.
        index: i32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Records that are well formed but not allowed here, at most the first 100 of them.
    Refused(Vec<RecordFault>),
}

/// One record that a rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFault {
    /// Which record of the batch, from 0.
    pub index: i32,
    /// Why.
    pub kind: RecordFaultKind,
}

/// Why a record is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFaultKind {
    /// A compacted topic takes no record without a key.
    NoKey,
    /// The timestamp (ms) is further from the broker's clock than the topic allows.
    TimestampOutOfRange {
        /// The record's timestamp in ms.
        timestamp: i64,
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
}

impl fmt::Display for RecordFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("a compacted topic takes no record without a key"),
            Self::TimestampOutOfRange { timestamp, min, max } => {
                write!(f, "timestamp {timestamp} is outside {min}..{max}, which the topic allows now")
            }
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, found } => {
                write!(f, "batch is cut short: {found} bytes of at least {needed}")
            }
            Self::BadLength(length) => write!(f, "batch length {length} is impossible (at least 49)"),
            Self::BadMagic(magic) => write!(f, "message format {magic} is not supported (only 2)"),
            Self::BadCrc { stored, computed } => {
                write!(f, "batch checksum is {computed:08x}, its header says {stored:08x}")
            }
            Self::UnknownCodec(bits) => write!(f, "compression type {bits} is unknown (0 to 4)"),
            Self::CodecNotAllowed { codec, version } => {
                write!(f, "compression {codec} is not allowed in version {version} of the request")
            }
            Self::BadCompression { codec } => write!(f, "{codec} data can not be decompressed"),
            Self::TooLargeInflated { limit } => write!(f, "batch inflates to more than {limit} bytes"),
            Self::TooLarge { size, limit } => write!(f, "batch of {size} bytes is over the limit of {limit}"),
            Self::NotOneBatch { found } => {
                write!(f, "{found} batches for one partition where exactly one is allowed")
            }
            Self::BadBaseOffset(offset) => write!(f, "base offset of a new batch must be 0, not {offset}"),
            Self::BadCount { count, last_offset_delta } => {
                write!(f, "record count {count} does not agree with last offset delta {last_offset_delta}")
            }
            Self::TrailingBytes { left } => write!(f, "{left} bytes behind the last record"),
            Self::BadProducer { id, epoch, sequence } => {
                write!(f, "producer {id} with epoch {epoch} and sequence {sequence} is not valid")
            }
            Self::ControlFromClient => f.write_str("clients may not write control batches"),
            Self::LogAppendFromClient => {
                f.write_str("clients may not set the timestamp type to LogAppendTime")
            }
            Self::TransactionalWithoutProducer => f.write_str("transactional batch without a producer id"),
            Self::Malformed { index, what } => write!(f, "record {index} of the batch: {what}"),
            Self::Refused(faults) => match faults.first() {
                Some(first) => {
                    write!(f, "{} refused, the first at {}: {}", faults.len(), first.index, first.kind)
                }
                None => f.write_str("records refused"),
            },
        }
    }
}

impl std::error::Error for RecordError {}
