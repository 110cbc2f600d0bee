//! The checks a broker makes before it stores a client's batch; nothing is stored that fails one.

use super::batch::{Batch, BatchHeader, TimestampType};
use super::codec::{Codec, Decompressor};
use super::error::{RecordError, RecordFault, RecordFaultKind};
use super::iter::{Record, Records};

/// Produce requests from this version on may carry zstd.
const ZSTD_FROM_PRODUCE: i16 = 7;
/// The least length of a message in the oldest format: CRC, magic, attributes, two lengths.
const LEAST_OLD_LENGTH: i32 = 14;
/// Most records that one refusal lists.
const MAX_FAULTS: usize = 100;

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
    bytes: &[u8],
    rules: &Rules,
    inflate: &mut Decompressor,
) -> Result<BatchSummary, RecordError> {
    if bytes.is_empty() {
        return Err(RecordError::NotOneBatch { found: 0 });
    }
    check_format(bytes)?;
    let batch = Batch::exactly(bytes)?;
    let header = batch.header();
    let codec = header.codec()?;
    if codec == Codec::Zstd && rules.produce_version < ZSTD_FROM_PRODUCE {
        return Err(RecordError::CodecNotAllowed { codec: codec.name(), version: rules.produce_version });
    }
    if header.base_offset != 0 {
        return Err(RecordError::BadBaseOffset(header.base_offset));
    }
    if bytes.len() > rules.max_batch_bytes {
        return Err(RecordError::TooLarge { size: bytes.len(), limit: rules.max_batch_bytes });
    }
    let computed = batch.computed_crc();
    if computed != header.crc {
        return Err(RecordError::BadCrc { stored: header.crc, computed });
    }
    check_header(&header)?;
    let mut records = inflate.records(&batch, rules.max_inflated_bytes)?;
    let (max_timestamp, max_timestamp_delta) = walk(&mut records, &header, rules)?;
    Ok(BatchSummary { header, size: bytes.len(), max_timestamp, max_timestamp_delta })
}

/// Messages of the old formats are told from damage: they may be shorter than any batch.
fn check_format(bytes: &[u8]) -> Result<(), RecordError> {
    let length = bytes.get(8..).and_then(|from| from.first_chunk::<4>());
    match (length, bytes.get(16)) {
        (Some(length), Some(&magic)) if magic != 2 && i32::from_be_bytes(*length) >= LEAST_OLD_LENGTH => {
            Err(RecordError::BadMagic(magic as i8))
        }
        _ => Ok(()),
    }
}

fn check_header(header: &BatchHeader) -> Result<(), RecordError> {
    let (count, last_offset_delta) = (header.count, header.last_offset_delta);
    if count <= 0 || last_offset_delta != count - 1 {
        return Err(RecordError::BadCount { count, last_offset_delta });
    }
    if header.is_control() {
        return Err(RecordError::ControlFromClient);
    }
    if header.timestamp_type() == TimestampType::LogAppend {
        return Err(RecordError::LogAppendFromClient);
    }
    if header.has_producer_id() {
        let (id, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
        if epoch < 0 || sequence < 0 {
            return Err(RecordError::BadProducer { id, epoch, sequence });
        }
    } else if header.is_transactional() {
        return Err(RecordError::TransactionalWithoutProducer);
    }
    Ok(())
}

/// Walks all records; gives the largest timestamp and the offset delta of the first record that has it.
fn walk(records: &mut Records<'_>, header: &BatchHeader, rules: &Rules) -> Result<(i64, i32), RecordError> {
    let (mut max_timestamp, mut max_delta) = (-1, 0);
    let mut faults = Vec::new();
    for index in 0..header.count {
        let record = match records.next() {
            Some(record) => record?,
            None => return Err(RecordError::Malformed { index, what: "missing" }),
        };
        if record.offset != i64::from(index) {
            return Err(RecordError::Malformed { index, what: "offset delta is not its place in the batch" });
        }
        if record.timestamp > max_timestamp {
            max_timestamp = record.timestamp;
            max_delta = index;
        }
        if let Some(kind) = fault(&record, rules) {
            faults.push(RecordFault { index, kind });
            if faults.len() == MAX_FAULTS {
                break;
            }
        }
    }
    if !faults.is_empty() {
        return Err(RecordError::Refused(faults));
    }
    match records.remaining() {
        0 => Ok((max_timestamp, max_delta)),
        left => Err(RecordError::TrailingBytes { left }),
    }
}

#[inline(always)]
fn fault(record: &Record<'_>, rules: &Rules) -> Option<RecordFaultKind> {
    if rules.compacted && record.key.is_none() {
        return Some(RecordFaultKind::NoKey);
    }
    match rules.timestamps {
        TimestampRule::Create { min, max }
            if record.timestamp != -1 && !(min..=max).contains(&record.timestamp) =>
        {
            Some(RecordFaultKind::TimestampOutOfRange { timestamp: record.timestamp, min, max })
        }
        _ => None,
    }
}
