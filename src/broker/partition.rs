//! One partition as the broker sees it: a log, its high watermark, and who waits for it; nothing above the high
//! watermark is ever shown to a consumer.

use bytes::Bytes;

use super::BrokerError;
use crate::record::Record;
use crate::storage::Appended;

/// A record of an internal topic, to be stored with the broker's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalRecord {
    /// Its key; `None` where the topic's records have none.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// One partition.
pub struct Partition {}

impl Partition {
    /// Appends records of an internal topic as one batch, stamped `now_ms`; the flusher is woken. They are durable
    /// (and visible) once [`Partition::durable`] of their last offset answers.
    ///
    /// # Errors
    /// A failing or closed log.
    pub fn append_internal(
        &self,
        _records: &[InternalRecord],
        _now_ms: i64,
    ) -> Result<Appended, BrokerError> {
        unimplemented!()
    }

    /// Answers when the record at `offset` survives a power cut.
    ///
    /// # Errors
    /// The sync failed, or the log was closed or deleted meanwhile.
    pub async fn durable(&self, _offset: i64) -> Result<(), BrokerError> {
        unimplemented!()
    }

    /// Reads every record from the log's start to its end, in order, damaged ranges aside; control batches are left
    /// out. Blocking.
    ///
    /// # Errors
    /// A failing disk.
    pub fn replay(&self, _each: &mut dyn FnMut(Record<'_>)) -> Result<(), BrokerError> {
        unimplemented!()
    }

    /// Log start offset.
    pub fn log_start(&self) -> i64 {
        unimplemented!()
    }

    /// High watermark: the end of what consumers may see.
    pub fn high_watermark(&self) -> i64 {
        unimplemented!()
    }

    /// Log end offset.
    pub fn log_end(&self) -> i64 {
        unimplemented!()
    }
}
