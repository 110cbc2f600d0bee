//! The checks a broker makes before it stores a client's batch; nothing is stored that fails one.

use super::batch::{Batch, BatchHeader};
use super::codec::Decompressor;
use super::error::RecordError;

/// What is allowed, from the request's version and the topic's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Version of the Produce request (zstd from 7 on).
    pub produce_version: i16,
    /// `max.message.bytes`: largest batch, header included.
    pub max_batch_bytes: usize,
    /// Most bytes that a compressed batch may inflate to.
    pub max_inflated_bytes: usize,
    /// `cleanup.policy` has compact: every record needs a key.
    pub compacted: bool,
    /// `message.timestamp.type` and its bounds.
    pub timestamps: TimestampRule,
}

/// What timestamps are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampRule {
    /// The producer's, within `min..=max` ms (`i64::MIN` and `MAX` for no bound); -1 (none) is always allowed.
    Create {
        /// Least allowed.
        min: i64,
        /// Greatest allowed.
        max: i64,
    },
    /// The broker's: the producer's are not looked at.
    LogAppend,
}

/// What the walk over a good batch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSummary {
    /// The header as the client sent it.
    pub header: BatchHeader,
    /// The whole batch in bytes.
    pub size: usize,
    /// Largest timestamp of the records in ms, -1 where none has one.
    pub max_timestamp: i64,
    /// Offset delta of the first record that has it.
    pub max_timestamp_delta: i32,
}

impl BatchSummary {
    /// Of a batch that klog built itself: its header is believed.
    pub fn trusted(batch: &Batch<'_>) -> BatchSummary {
        let header = batch.header();
        BatchSummary {
            header,
            size: batch.bytes().len(),
            max_timestamp: header.max_timestamp,
            max_timestamp_delta: header.last_offset_delta,
        }
    }
}

/// Checks one partition's data of a Produce request: exactly one batch, magic, length, CRC, codec, count, offset
/// deltas, sizes, producer fields, keys and timestamps; compressed batches are inflated and walked too.
///
/// # Errors
/// The first thing found wrong; `Refused` lists the records that a rule refuses.
pub fn validate_produce(
    _bytes: &[u8],
    _rules: &Rules,
    _inflate: &mut Decompressor,
) -> Result<BatchSummary, RecordError> {
    unimplemented!()
}
