//! One partition's log: the face of storage to the broker; appends under one short lock, reads without it.
//!
//! Locks: `writer` (append, roll, truncate) is held for one write; readers take only a snapshot of the segment list.

use std::sync::Arc;

use super::{DiskFile, Folder, LogSettings, StorageError};
use crate::model::id::{TopicId, TopicPartition};
use crate::record::BatchSummary;

/// One partition's log.
#[derive(Debug)]
pub struct Log {}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The first offset of the batch (of the first one, for a duplicate).
    pub base_offset: i64,
    /// The last offset of the batch.
    pub last_offset: i64,
    /// The log append time, -1 when the topic keeps the producer's.
    pub log_append_time: i64,
    /// Log start offset at that moment.
    pub log_start: i64,
    /// Whether the batch was here already: nothing was written, the offsets are those of then.
    pub duplicate: bool,
}

/// A range of a segment's file that holds whole batches; stays readable when the segment is rolled or deleted.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// The segment's file.
    pub file: Arc<dyn DiskFile>,
    /// Where the first batch starts, in bytes.
    pub position: u64,
    /// How many bytes of whole batches; 0 when there is nothing to read (yet).
    pub len: usize,
}

/// A record's place by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOffset {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The record's offset.
    pub offset: i64,
    /// The leader epoch of its batch, -1 when unknown.
    pub leader_epoch: i32,
}

/// What opening a log did, for the one line in the daemon's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Whether anything had to be scanned.
    pub scanned_bytes: u64,
    /// Bytes cut off the tail (kept in a `.cut-` file).
    pub cut_bytes: u64,
    /// Damaged offset ranges found (kept in place, refused when read).
    pub damaged: Vec<std::ops::Range<i64>>,
    /// Indexes that were rebuilt.
    pub rebuilt_indexes: usize,
    /// Log start offset.
    pub log_start: i64,
    /// Log end offset.
    pub log_end: i64,
}

/// What retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments removed.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Log {
    /// Opens a partition's log, making it when its folder is missing (then [`Folder::sync`] makes the folder durable).
    /// Touches no file when the checkpoint knows the log as clean: it is loaded on first use. Otherwise recovers it now.
    pub fn open(
        folder: &Arc<Folder>,
        partition: TopicPartition,
        topic_id: TopicId,
        settings: LogSettings,
    ) -> Result<Arc<Self>, StorageError> {
        let _ = (folder, partition, topic_id, settings);
        unimplemented!()
    }

    /// What recovery did when this log was opened; `None` while nothing had to be recovered.
    pub fn recovered(&self) -> Option<Recovered> {
        unimplemented!()
    }

    /// Which partition this is.
    pub fn partition(&self) -> &TopicPartition {
        unimplemented!()
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        unimplemented!()
    }

    /// Log start offset.
    pub fn log_start(&self) -> i64 {
        unimplemented!()
    }

    /// Log end offset: the next one to be given.
    pub fn log_end(&self) -> i64 {
        unimplemented!()
    }

    /// Everything below this offset survives a power cut.
    pub fn durable_end(&self) -> i64 {
        unimplemented!()
    }

    /// Bytes appended that no sync has covered yet.
    pub fn unsynced_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Bytes of all segments.
    pub fn size(&self) -> Result<u64, StorageError> {
        unimplemented!()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<LogSettings> {
        unimplemented!()
    }

    /// Changes the settings; they count from the next append or retention on.
    pub fn set_settings(&self, settings: LogSettings) {
        let _ = settings;
        unimplemented!()
    }

    /// Appends one validated batch (`bytes` is exactly one batch of magic 2): gives it its offsets, stamps the leader
    /// epoch and, with `log_append_time`, that time. Sequence checks happen here; a duplicate answers the old offsets.
    pub fn append(
        &self,
        bytes: &[u8],
        summary: &BatchSummary,
        leader_epoch: i32,
        log_append_time: Option<i64>,
    ) -> Result<Appended, StorageError> {
        let _ = (bytes, summary, leader_epoch, log_append_time);
        unimplemented!()
    }

    /// Plans a read from the batch that holds `from`: whole batches, at most `max_bytes` (the first one whole whatever its
    /// size with `at_least_one`), none that reaches `upto` (an end offset: high watermark, last stable offset, log end).
    pub fn plan(
        &self,
        from: i64,
        max_bytes: usize,
        upto: i64,
        at_least_one: bool,
    ) -> Result<ReadPlan, StorageError> {
        let _ = (from, max_bytes, upto, at_least_one);
        unimplemented!()
    }

    /// Syncs everything appended before the call; returns the durable end then. A failure latches the log.
    pub fn sync(&self) -> Result<i64, StorageError> {
        unimplemented!()
    }

    /// The first record at or after `timestamp` (ms) below `upto`; `None` when there is none.
    pub fn lookup_time(&self, timestamp: i64, upto: i64) -> Result<Option<TimedOffset>, StorageError> {
        let _ = (timestamp, upto);
        unimplemented!()
    }

    /// The record with the largest timestamp (the first of them) below `upto`; `None` in an empty log.
    pub fn max_timestamp(&self, upto: i64) -> Result<Option<TimedOffset>, StorageError> {
        let _ = upto;
        unimplemented!()
    }

    /// Removes segments that retention by time or size has passed and that lie wholly below `upto` (the high watermark).
    pub fn retain(&self, now_ms: i64, upto: i64) -> Result<Retained, StorageError> {
        let _ = (now_ms, upto);
        unimplemented!()
    }

    /// Moves the log start forward (DeleteRecords); durable when this returns.
    pub fn advance_start(&self, offset: i64) -> Result<(), StorageError> {
        let _ = offset;
        unimplemented!()
    }

    /// The leader epochs known here and their first offsets, oldest first.
    pub fn leader_epochs(&self) -> Result<Vec<(i32, i64)>, StorageError> {
        unimplemented!()
    }

    /// The end offset of the largest epoch at or below `epoch`, with that epoch (OffsetForLeaderEpoch).
    pub fn epoch_end(&self, epoch: i32) -> Result<Option<(i32, i64)>, StorageError> {
        let _ = epoch;
        unimplemented!()
    }

    /// Forgets producers idle for longer than the settings say.
    pub fn expire_producers(&self, now_ms: i64) {
        let _ = now_ms;
        unimplemented!()
    }

    /// Writes indexes and the producer snapshot and moves the recovery point in the folder's checkpoint (in memory:
    /// [`Folder::checkpoint`] writes it).
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Syncs, checkpoints and closes; later calls are refused.
    pub fn close(&self) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Renames the partition's folder to `<name>.<topic id>-delete` and closes the log; [`Folder::sync`] makes it
    /// durable, [`Folder::sweep`] frees the space.
    pub fn delete(&self) -> Result<(), StorageError> {
        unimplemented!()
    }
}
