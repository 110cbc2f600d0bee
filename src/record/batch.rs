//! One whole batch as a borrowed view of its bytes; reads header fields, never changes or copies the payload.

use super::codec::Codec;
use super::crc::crc32c;
use super::error::RecordError;
use super::iter::Records;

/// Bytes of a batch's header; the records follow.
pub const HEADER_LEN: usize = 61;
/// Bytes before what `batch_length` counts: the base offset and the length itself.
pub const LENGTH_PREFIX: usize = 12;
/// Bytes a broker writes for itself at append and that the CRC does not cover, counted from the start:
/// base offset, length, leader epoch.
pub const WRITE_PREFIX: usize = 16;
/// The producer id of a batch that is not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;

/// Where the CRC field lies, and where what it covers begins.
pub(super) const CRC_AT: usize = 17;
pub(super) const CRC_FROM: usize = 21;

pub(super) const ATTRIBUTE_APPEND_TIME: i16 = 0x08;
pub(super) const ATTRIBUTE_TRANSACTIONAL: i16 = 0x10;
pub(super) const ATTRIBUTE_CONTROL: i16 = 0x20;
pub(super) const ATTRIBUTE_DELETE_HORIZON: i16 = 0x40;

/// Whose clock a batch's timestamps are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's; every record has its own.
    Create,
    /// The broker's at append; all records have the batch's largest.
    LogAppend,
}

/// A batch's header fields as values; what each means is said by [`Batch`]'s format page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes behind the length field; the whole batch is 12 longer.
    pub batch_length: i32,
    /// Leader epoch at append, -1 from clients.
    pub leader_epoch: i32,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Bits: 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
    pub attributes: i16,
    /// Last record's offset less the first's.
    pub last_offset_delta: i32,
    /// First record's timestamp in ms, or the delete horizon where bit 6 is set.
    pub base_timestamp: i64,
    /// Largest timestamp in ms.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Number of records.
    pub count: i32,
}

impl BatchHeader {
    /// Offset of the last record (of the last that was there before compaction).
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// The offset behind the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// Sequence of the last record; sequences wrap from `i32::MAX` to 0. -1 without one.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta.max(0));
        i32::try_from(last).unwrap_or_else(|_| (last - i64::from(i32::MAX) - 1) as i32)
    }

    /// The codec, or what the bits are where they name none.
    pub fn codec(&self) -> Result<Codec, RecordError> {
        Codec::from_attributes(self.attributes)
    }

    /// Whose clock the timestamps are from.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & ATTRIBUTE_APPEND_TIME != 0 {
            TimestampType::LogAppend
        } else {
            TimestampType::Create
        }
    }

    /// Part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & ATTRIBUTE_TRANSACTIONAL != 0
    }

    /// Holds markers, not data.
    pub fn is_control(&self) -> bool {
        self.attributes & ATTRIBUTE_CONTROL != 0
    }

    /// When compaction may drop the batch's tombstones, in ms, once that is decided.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & ATTRIBUTE_DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Written by an idempotent producer.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Length of the whole batch in bytes.
    pub fn size(&self) -> usize {
        LENGTH_PREFIX + usize::try_from(self.batch_length).unwrap_or(0)
    }
}

/// One whole batch; made only where length and magic were found good, so getters can not fail.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

macro_rules! field {
    ($(#[$doc:meta])* $name:ident, $type:ty, $at:literal) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> $type {
            let mut raw = [0; size_of::<$type>()];
            raw.copy_from_slice(&self.header[$at..$at + size_of::<$type>()]);
            <$type>::from_be_bytes(raw)
        }
    };
}

impl<'a> Batch<'a> {
    /// The first batch of `bytes` and what follows it; `None` where the bytes end before the batch does
    /// (a fetch may cut its last batch). The CRC is not looked at.
    ///
    /// # Errors
    /// `BadLength` and `BadMagic`, as soon as the bytes that show it are there.
    pub fn split_first(bytes: &'a [u8]) -> Result<Option<(Batch<'a>, &'a [u8])>, RecordError> {
        let Some(size) = Self::announced_size(bytes)? else { return Ok(None) };
        if let Some(&magic) = bytes.get(16)
            && magic != 2
        {
            return Err(RecordError::BadMagic(magic as i8));
        }
        let Some((whole, rest)) = bytes.split_at_checked(size) else { return Ok(None) };
        let Some(header) = whole.first_chunk() else { return Ok(None) };
        Ok(Some((Batch { header, bytes: whole }, rest)))
    }

    /// Exactly one whole batch.
    ///
    /// # Errors
    /// Those of [`Batch::split_first`]; `Truncated`; `NotOneBatch` where bytes follow.
    pub fn exactly(bytes: &'a [u8]) -> Result<Batch<'a>, RecordError> {
        match Self::split_first(bytes)? {
            Some((batch, [])) => Ok(batch),
            Some(_) => Err(RecordError::NotOneBatch { found: 2 }),
            None => {
                let needed = Self::announced_size(bytes)?.unwrap_or(HEADER_LEN);
                Err(RecordError::Truncated { needed, found: bytes.len() })
            }
        }
    }

    /// The whole size that the first 12 bytes announce; `None` with fewer.
    ///
    /// # Errors
    /// `BadLength` where no batch can be that short.
    pub fn announced_size(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
        let Some(raw) = bytes.get(8..).and_then(|from| from.first_chunk::<4>()) else { return Ok(None) };
        let length = i32::from_be_bytes(*raw);
        match usize::try_from(length) {
            Ok(len) if len >= HEADER_LEN - LENGTH_PREFIX => Ok(Some(LENGTH_PREFIX + len)),
            _ => Err(RecordError::BadLength(length)),
        }
    }

    field!(/// Offset of the first record.
        base_offset, i64, 0);
    field!(/// Bytes behind the length field.
        batch_length, i32, 8);
    field!(/// Leader epoch at append, -1 from clients.
        leader_epoch, i32, 12);
    field!(/// CRC-32C as stored.
        crc, u32, 17);
    field!(/// Bits: 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
        attributes, i16, 21);
    field!(/// Last record's offset less the first's.
        last_offset_delta, i32, 23);
    field!(/// First record's timestamp in ms, or the delete horizon.
        base_timestamp, i64, 27);
    field!(/// Largest timestamp in ms.
        max_timestamp, i64, 35);
    field!(/// Producer id, -1 for none.
        producer_id, i64, 43);
    field!(/// Producer epoch, -1 for none.
        producer_epoch, i16, 51);
    field!(/// Sequence of the first record, -1 for none.
        base_sequence, i32, 53);
    field!(/// Number of records.
        count, i32, 57);

    /// All header fields as values.
    pub fn header(&self) -> BatchHeader {
        BatchHeader {
            base_offset: self.base_offset(),
            batch_length: self.batch_length(),
            leader_epoch: self.leader_epoch(),
            crc: self.crc(),
            attributes: self.attributes(),
            last_offset_delta: self.last_offset_delta(),
            base_timestamp: self.base_timestamp(),
            max_timestamp: self.max_timestamp(),
            producer_id: self.producer_id(),
            producer_epoch: self.producer_epoch(),
            base_sequence: self.base_sequence(),
            count: self.count(),
        }
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().wrapping_add(i64::from(self.last_offset_delta()))
    }

    /// The codec, or what the bits are where they name none.
    pub fn codec(&self) -> Result<Codec, RecordError> {
        Codec::from_attributes(self.attributes())
    }

    /// Holds markers, not data.
    pub fn is_control(&self) -> bool {
        self.attributes() & ATTRIBUTE_CONTROL != 0
    }

    /// The header's bytes.
    pub fn header_bytes(&self) -> &'a [u8; HEADER_LEN] {
        self.header
    }

    /// The records' bytes, compressed where the codec says so.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// The whole batch's bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the CRC is of these bytes now.
    pub fn computed_crc(&self) -> u32 {
        crc32c(self.bytes.get(CRC_FROM..).unwrap_or_default())
    }

    /// Whether the stored CRC agrees with the bytes.
    pub fn crc_ok(&self) -> bool {
        self.computed_crc() == self.crc()
    }

    /// The records of an uncompressed batch; compressed ones go through
    /// [`super::Decompressor::records`].
    ///
    /// # Errors
    /// `UnknownCodec`, and `BadCompression` where the batch is compressed.
    pub fn records(&self) -> Result<Records<'a>, RecordError> {
        match self.codec()? {
            Codec::None => Ok(Records::new(&self.header(), self.payload())),
            codec => Err(RecordError::BadCompression { codec: codec.name() }),
        }
    }
}
