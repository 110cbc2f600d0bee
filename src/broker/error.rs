//! What can go wrong inside the broker, as facts; protocol codes are chosen in `api`, text at the edges.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::catalog::Refusal;
use crate::record::RecordError;
use crate::schema::SchemaError;
use crate::storage::StorageError;

/// Why an operation on a partition, or on the catalog, was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// The partition is not (or no longer) known: deleted, or never made.
    #[error("there is no such partition")]
    UnknownPartition,
    /// The batch is not one a broker stores.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The log refused or failed.
    #[error("{0}")]
    Storage(Arc<StorageError>),
    /// Bytes of an internal topic can not be read or written.
    #[error("{0}")]
    Schema(#[from] SchemaError),
    /// What was written was cut off again: a sync failed before it reached the disk.
    #[error("what was written did not reach the disk")]
    Lost,
    /// The catalog refuses a change.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The machine gives no random bytes.
    #[error("the machine gives no random bytes")]
    NoRandom,
    /// The broker is closing: nothing new is stored.
    #[error("the broker is closing")]
    Closing,
}

impl From<StorageError> for BrokerError {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// Why a data folder could not be opened as a broker.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or its files: held by another process, not klog's, or failing.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// A thread could not be started.
    #[error("can not start a thread: {0}")]
    Thread(std::io::Error),
    /// The machine gives no random bytes.
    #[error("the machine gives no random bytes")]
    Random,
    /// The metadata log holds what can not be read, so that what exists is not known.
    #[error("record at offset {offset} of the metadata log can not be read: {source}")]
    Catalog {
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        source: SchemaError,
    },
    /// Bytes of the metadata log are not as they were written, so that what exists is not known.
    #[error(
        "the records at offsets {} to {} in {path} are damaged, and what exists is not known without them; look at them \
         with: klog segment verify {path}, and take them out with: klog segment repair -y {path}",
        .range.start, .range.end - 1, path = .folder.display()
    )]
    Damaged {
        /// The offsets that can not be read (end exclusive).
        range: Range<i64>,
        /// The metadata log's folder.
        folder: PathBuf,
    },
    /// The folder was written at a level of a feature that this build does not know.
    #[error(
        "{feature} is finalized at level {level}, and this klog knows it up to {known}: the folder is a later one's"
    )]
    Future {
        /// The feature.
        feature: String,
        /// Its level.
        level: i16,
        /// The highest level known here; 0 where the feature is not known at all.
        known: i16,
    },
    /// The catalog or an internal topic could not be written.
    #[error("{0}")]
    Broker(#[from] BrokerError),
}
