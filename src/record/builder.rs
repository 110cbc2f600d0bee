//! Builds a batch from borrowed slices in one growing buffer; allocates nothing per record.

use super::batch::{
    ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL, CRC_AT, CRC_FROM, HEADER_LEN, LENGTH_PREFIX, NO_PRODUCER_ID,
};
use super::codec::{Codec, Compression, Compressor};
use super::crc::crc32c;
use super::error::RecordError;
use super::iter::Header;
use super::varint::{self, MAX_32, MAX_64};

/// Bytes of a record before its key's length: length, attributes, timestamp delta, offset delta.
const MAX_PRELUDE: usize = MAX_32 + 1 + MAX_64 + MAX_32;

/// Who writes a batch, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStamp {
    /// Producer id, -1 for none.
    pub id: i64,
    /// Producer epoch, -1 for none.
    pub epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Part of a transaction.
    pub transactional: bool,
}

impl ProducerStamp {
    /// Not idempotent.
    pub const NONE: ProducerStamp =
        ProducerStamp { id: NO_PRODUCER_ID, epoch: -1, base_sequence: -1, transactional: false };
}

/// Upper bound in bytes of what one record adds to a batch (lengths of key and value; `None` is null).
pub fn record_len(key: Option<usize>, value: Option<usize>, headers: &[Header<'_>]) -> usize {
    let mut len = MAX_PRELUDE + 3 * MAX_32;
    len = len.saturating_add(key.unwrap_or(0)).saturating_add(value.unwrap_or(0));
    for header in headers {
        len = len.saturating_add(2 * MAX_32 + header.key.len() + header.value.map_or(0, <[u8]>::len));
    }
    len
}

/// A batch being filled. The buffer begins with the header's gap, so an uncompressed batch is finished in place.
#[derive(Debug)]
pub struct BatchBuilder {
    buf: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder::new()
    }
}

impl BatchBuilder {
    /// An empty builder; the buffer grows as records come.
    pub fn new() -> BatchBuilder {
        BatchBuilder::with_buffer(Vec::new())
    }

    /// An empty builder that fills `buf` (cleared first), for instance one that an earlier batch was sent from.
    pub fn with_buffer(buf: Vec<u8>) -> BatchBuilder {
        let mut builder = BatchBuilder { buf, count: 0, base_timestamp: 0, max_timestamp: 0 };
        builder.clear();
        builder
    }

    /// Gives the builder a buffer to fill; does nothing unless it is empty.
    pub fn recycle(&mut self, buf: Vec<u8>) {
        if self.is_empty() {
            self.buf = buf;
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.buf.clear();
        self.buf.resize(HEADER_LEN, 0);
        self.count = 0;
    }

    /// Appends one record. `timestamp` in ms. The caller keeps [`BatchBuilder::len`] in its limits, which are
    /// below 2 GiB; see [`record_len`] and [`BatchBuilder::fits`].
    #[inline]
    pub fn push(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        let timestamp_delta = self.enter(timestamp);
        let offset_delta = i64::from(self.count);
        let mut body = 1 + varint::len(timestamp_delta) + varint::len(offset_delta);
        body += bytes_len(key) + bytes_len(value) + varint::len(headers.len() as i64);
        for header in headers {
            body += bytes_len(Some(header.key)) + bytes_len(header.value);
        }
        self.buf.reserve(body + MAX_32);
        let (mut head, mut at) = ([0; 32], 0);
        varint::put(&mut head, &mut at, body as i64);
        at += 1;
        varint::put(&mut head, &mut at, timestamp_delta);
        varint::put(&mut head, &mut at, offset_delta);
        self.put_head(&head, at);
        self.put_bytes(key);
        self.put_bytes(value);
        self.put_varint(headers.len() as i64);
        for header in headers {
            self.put_bytes(Some(header.key));
            self.put_bytes(header.value);
        }
        self.count += 1;
    }

    /// Appends a record without key and headers: the hot case of lines.
    #[inline]
    pub fn push_value(&mut self, timestamp: i64, value: &[u8]) {
        let timestamp_delta = self.enter(timestamp);
        let offset_delta = i64::from(self.count);
        let value_len = value.len() as i64;
        let prelude = 2 + varint::len(timestamp_delta) + varint::len(offset_delta) + varint::len(value_len);
        let body = prelude + value.len() + 1;
        self.buf.reserve(body + 48);
        let (mut head, mut at) = ([0; 48], 0);
        varint::put(&mut head, &mut at, body as i64);
        at += 1;
        varint::put(&mut head, &mut at, timestamp_delta);
        varint::put(&mut head, &mut at, offset_delta);
        // The null key: -1 as a varint.
        head[at] = 1;
        at += 1;
        varint::put(&mut head, &mut at, value_len);
        self.put_head(&head, at);
        self.buf.extend_from_slice(value);
        self.buf.push(0);
        self.count += 1;
    }

    /// Notes a record's timestamp and gives its distance from the first one's.
    #[inline(always)]
    fn enter(&mut self, timestamp: i64) -> i64 {
        if self.count == 0 {
            if self.buf.len() < HEADER_LEN {
                self.clear();
            }
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        } else if timestamp > self.max_timestamp {
            self.max_timestamp = timestamp;
        }
        timestamp.wrapping_sub(self.base_timestamp)
    }

    /// Appends `head[..len]`; copying the whole array and cutting it is cheaper than a copy of variable length.
    #[inline(always)]
    fn put_head<const N: usize>(&mut self, head: &[u8; N], len: usize) {
        let end = self.buf.len() + len;
        self.buf.extend_from_slice(head);
        self.buf.truncate(end);
    }

    #[inline]
    fn put_varint(&mut self, value: i64) {
        let (mut head, mut at) = ([0; 16], 0);
        varint::put(&mut head, &mut at, value);
        self.put_head(&head, at);
    }

    #[inline]
    fn put_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.buf.push(1),
            Some(bytes) => {
                self.put_varint(bytes.len() as i64);
                self.buf.extend_from_slice(bytes);
            }
        }
    }

    /// Whether a record of at most `record` bytes (see [`record_len`]) keeps the batch within `limit` bytes.
    pub fn fits(&self, record: usize, limit: usize) -> bool {
        self.len().saturating_add(record) <= limit
    }

    /// Bytes of the batch so far, header included, uncompressed.
    pub fn len(&self) -> usize {
        self.buf.len().max(HEADER_LEN)
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Largest timestamp so far in ms; meaningless while empty.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Seals the batch (base offset 0, leader epoch -1) and leaves the builder empty. Without compression the
    /// builder's buffer is what is returned ([`BatchBuilder::recycle`] gives it a new one); with it, it keeps it.
    ///
    /// # Errors
    /// `BadCount` where it is empty; `BadCompression` where the codec fails; `TooLarge` over `i32::MAX` bytes.
    pub fn finish(
        &mut self,
        stamp: ProducerStamp,
        compression: Compression,
        compressor: &mut Compressor,
    ) -> Result<Vec<u8>, RecordError> {
        let transactional = if stamp.transactional { ATTRIBUTE_TRANSACTIONAL } else { 0 };
        self.seal(stamp, compression, compressor, transactional)
    }

    /// [`BatchBuilder::finish`] without compression, for batches that klog writes itself.
    ///
    /// # Errors
    /// `BadCount` where it is empty; `TooLarge`.
    pub fn finish_plain(&mut self, stamp: ProducerStamp) -> Result<Vec<u8>, RecordError> {
        self.finish(stamp, Compression::NONE, &mut Compressor::new())
    }

    /// A control batch of a transaction.
    pub(super) fn finish_control(&mut self, stamp: ProducerStamp) -> Result<Vec<u8>, RecordError> {
        let attributes = ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_CONTROL;
        self.seal(stamp, Compression::NONE, &mut Compressor::new(), attributes)
    }

    fn seal(
        &mut self,
        stamp: ProducerStamp,
        compression: Compression,
        compressor: &mut Compressor,
        attributes: i16,
    ) -> Result<Vec<u8>, RecordError> {
        if self.count == 0 {
            return Err(RecordError::BadCount { count: 0, last_offset_delta: -1 });
        }
        let count = self.count;
        let mut batch = match compression.codec {
            Codec::None => {
                self.count = 0;
                std::mem::take(&mut self.buf)
            }
            _ => {
                let mut out = vec![0; HEADER_LEN];
                compressor.compress(compression, self.buf.get(HEADER_LEN..).unwrap_or_default(), &mut out)?;
                self.clear();
                out
            }
        };
        let size = batch.len();
        let length = i32::try_from(size.saturating_sub(LENGTH_PREFIX))
            .map_err(|_| RecordError::TooLarge { size, limit: i32::MAX as usize })?;
        if let Some(header) = batch.first_chunk_mut::<HEADER_LEN>() {
            *header = [0; HEADER_LEN];
            header[8..12].copy_from_slice(&length.to_be_bytes());
            header[12..16].copy_from_slice(&(-1i32).to_be_bytes());
            header[16] = 2;
            header[21..23].copy_from_slice(&(attributes | compression.codec.bits()).to_be_bytes());
            header[23..27].copy_from_slice(&(count - 1).to_be_bytes());
            header[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
            header[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
            put_stamp(header, stamp);
            header[57..61].copy_from_slice(&count.to_be_bytes());
        }
        put_crc(&mut batch);
        Ok(batch)
    }
}

/// Writes the producer's fields into a header.
pub(super) fn put_stamp(header: &mut [u8; HEADER_LEN], stamp: ProducerStamp) {
    header[43..51].copy_from_slice(&stamp.id.to_be_bytes());
    header[51..53].copy_from_slice(&stamp.epoch.to_be_bytes());
    header[53..57].copy_from_slice(&stamp.base_sequence.to_be_bytes());
}

/// Computes a whole batch's CRC and writes it.
pub(super) fn put_crc(batch: &mut [u8]) {
    let crc = crc32c(batch.get(CRC_FROM..).unwrap_or_default());
    if let Some(field) = batch.get_mut(CRC_AT..CRC_FROM) {
        field.copy_from_slice(&crc.to_be_bytes());
    }
}

/// Bytes of a nullable byte field with its length.
#[inline(always)]
fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::len(bytes.len() as i64) + bytes.len())
}
