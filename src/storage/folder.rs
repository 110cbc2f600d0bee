//! The data folder: its lock, its marks, its partitions' folders and the checkpoint; it never touches a folder that is not klog's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, StorageError};
use crate::model::id::{TopicId, TopicPartition};
use crate::model::time::Clock;

/// What the data folder is told about itself when it is opened.
#[derive(Debug, Clone)]
pub struct FolderOptions {
    /// `node.id`, written to and held against `meta.properties`.
    pub node_id: i32,
    /// The cluster id a new folder gets (random, from the caller).
    pub new_cluster_id: TopicId,
    /// The directory id a new folder gets (random, from the caller).
    pub new_directory_id: TopicId,
    /// How many descriptors logs may hold open together.
    pub max_open_files: usize,
}

/// One data folder, locked while this lives.
#[derive(Debug)]
pub struct Folder {}

impl Folder {
    /// Locks the folder (made when missing), checks its mark, reads the checkpoint and takes the clean mark away.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        clock: Arc<dyn Clock>,
        options: FolderOptions,
    ) -> Result<Arc<Self>, StorageError> {
        let _ = (disk, path, clock, options);
        unimplemented!()
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        unimplemented!()
    }

    /// The disk the folder lies on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        unimplemented!()
    }

    /// The cluster id of `meta.properties`.
    pub fn cluster_id(&self) -> &str {
        unimplemented!()
    }

    /// Whether the last daemon stopped cleanly (or the folder is new).
    pub fn was_clean(&self) -> bool {
        unimplemented!()
    }

    /// Partition folders found on disk at open: to be held against the catalog.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, StorageError> {
        unimplemented!()
    }

    /// The partition folders on disk that `known` does not know: kept, to be reported.
    pub fn strays(&self, known: &dyn Fn(&TopicPartition) -> bool) -> Result<Vec<PathBuf>, StorageError> {
        let _ = known;
        unimplemented!()
    }

    /// Partitions that were written since the last checkpoint of the process before: to be opened (recovered) at start.
    pub fn dirty_at_open(&self) -> Vec<TopicPartition> {
        unimplemented!()
    }

    /// Makes partition folders created, renamed or deleted so far durable (one sync for many topics).
    pub fn sync(&self) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Writes the checkpoint file if a log's entry changed since (call [`super::Log::checkpoint`] on the logs before).
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Removes what earlier deletions left (`*-delete` folders).
    pub fn sweep(&self) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// After every log was closed: writes the checkpoint and the clean mark.
    pub fn close_clean(&self) -> Result<(), StorageError> {
        unimplemented!()
    }
}
