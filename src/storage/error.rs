//! What can go wrong below a partition, as facts; the text is for people, the mapping to codes is the broker's.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why storage refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The offset lies outside what the log holds; the range is log start (inclusive) to log end (exclusive).
    #[error("offset {offset} is outside of the log, which holds {} to {}", .range.start, .range.end)]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// Log start and log end offset.
        range: Range<i64>,
    },
    /// Reading meets bytes that recovery found damaged. Reading can go on at `range.end`.
    #[error("offsets {} to {} of {log} are damaged", .range.start, .range.end - 1)]
    Damaged {
        /// The partition's folder name.
        log: String,
        /// The offsets that can not be read (end exclusive).
        range: Range<i64>,
    },
    /// A batch given to append is not one whole batch of magic 2.
    #[error("not one whole batch: {0}")]
    BadBatch(&'static str),
    /// A batch can never fit into a segment of this log.
    #[error("a batch of {len} bytes does not fit into segments of {segment_bytes} bytes")]
    BatchTooLarge {
        /// The batch's bytes.
        len: usize,
        /// The log's `segment.bytes`.
        segment_bytes: u32,
    },
    /// An idempotent producer's batch does not follow its last one.
    #[error("producer {producer_id}: sequence {found} where {expected} was due")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The first sequence number that was due.
        expected: i32,
        /// The batch's first sequence number.
        found: i32,
    },
    /// A batch of a producer epoch that a later one has replaced.
    #[error("producer {producer_id}: epoch {found} is fenced by epoch {current}")]
    ProducerFenced {
        /// The producer.
        producer_id: i64,
        /// The epoch known here.
        current: i16,
        /// The batch's epoch.
        found: i16,
    },
    /// A batch of a transaction that is neither under way in this log nor verified with its coordinator.
    #[error("producer {producer_id} has no transaction here")]
    NotInTransaction {
        /// The producer.
        producer_id: i64,
    },
    /// A batch outside of transactions of a producer whose transaction is under way.
    #[error("producer {producer_id} is in a transaction, and the batch is not")]
    InTransaction {
        /// The producer.
        producer_id: i64,
    },
    /// A marker of a coordinator that a later one has replaced.
    #[error("producer {producer_id}: coordinator epoch {found} is fenced by epoch {current}")]
    CoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// The coordinator's epoch known here.
        current: i32,
        /// The marker's.
        found: i32,
    },
    /// The disk is full: nothing of the append is kept, the next one is tried afresh.
    #[error("no space left on the disk for {log}")]
    Full {
        /// The partition's folder name.
        log: String,
    },
    /// An I/O error or a failed sync closed the log for appends until it is opened again.
    #[error("{log} takes no appends since an I/O error: {reason}")]
    Failed {
        /// The partition's folder name.
        log: String,
        /// The first failure's text.
        reason: String,
    },
    /// The log was deleted or closed.
    #[error("{log} is closed")]
    Closed {
        /// The partition's folder name.
        log: String,
    },
    /// Another process holds the data folder.
    #[error("{path} is in use by another process", path = .path.display())]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// The folder holds something else; it was not touched.
    #[error("{path} is not a klog data folder: it holds {found}", path = .path.display())]
    Foreign {
        /// The data folder.
        path: PathBuf,
        /// The first thing found that is not klog's.
        found: String,
    },
    /// A file klog wrote can not be understood.
    #[error("{path} can not be read: {reason}", path = .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Any other failure of the disk.
    #[error("{doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried ("reading", "creating").
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StorageError {
    /// For `map_err`: an I/O failure with what was tried on what.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}
