//! Builds a batch from borrowed slices in one growing buffer; allocates nothing per record.

use super::codec::{Compression, Compressor};
use super::error::RecordError;
use super::iter::Header;

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
        ProducerStamp { id: -1, epoch: -1, base_sequence: -1, transactional: false };
}

/// Upper bound in bytes of what one record adds to a batch (lengths of key and value; `None` is null).
pub fn record_len(_key: Option<usize>, _value: Option<usize>, _headers: &[Header<'_>]) -> usize {
    unimplemented!()
}

/// A batch being filled. The buffer begins with the header's gap, so an uncompressed batch is finished in place.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    buf: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty builder; the buffer grows as records come.
    pub fn new() -> BatchBuilder {
        unimplemented!()
    }

    /// An empty builder that fills `buf` (cleared first), for instance one that an earlier batch was sent from.
    pub fn with_buffer(_buf: Vec<u8>) -> BatchBuilder {
        unimplemented!()
    }

    /// Gives the builder a buffer to fill; only while it is empty.
    pub fn recycle(&mut self, _buf: Vec<u8>) {
        unimplemented!()
    }

    /// Appends one record. `timestamp` in ms. The caller keeps `len()` in its limits; see [`record_len`].
    #[inline]
    pub fn push(
        &mut self,
        _timestamp: i64,
        _key: Option<&[u8]>,
        _value: Option<&[u8]>,
        _headers: &[Header<'_>],
    ) {
        unimplemented!()
    }

    /// Appends a record without key and headers: the hot case of lines.
    #[inline]
    pub fn push_value(&mut self, _timestamp: i64, _value: &[u8]) {
        unimplemented!()
    }

    /// Whether a record of at most `record` bytes (see [`record_len`]) keeps the batch within `limit` bytes.
    pub fn fits(&self, record: usize, limit: usize) -> bool {
        self.len().saturating_add(record) <= limit
    }

    /// Bytes of the batch so far, header included, uncompressed.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Seals the batch (base offset 0, leader epoch -1) and leaves the builder empty, without a buffer.
    ///
    /// # Errors
    /// `BadCount` where it is empty; `BadCompression` where the codec fails; `TooLarge` over `i32::MAX` bytes.
    pub fn finish(
        &mut self,
        _stamp: ProducerStamp,
        _compression: Compression,
        _compressor: &mut Compressor,
    ) -> Result<Vec<u8>, RecordError> {
        unimplemented!()
    }

    /// [`BatchBuilder::finish`] without compression, for batches that klog writes itself: a base offset is
    /// given by the log.
    ///
    /// # Errors
    /// `BadCount` where it is empty; `TooLarge`.
    pub fn finish_plain(&mut self, stamp: ProducerStamp) -> Result<Vec<u8>, RecordError> {
        self.finish(stamp, Compression::NONE, &mut Compressor::new())
    }
}
