//! A new segment that compaction writes beside those it will replace: `.log.cleaned` with its indexes, synced before it
//! counts; no reader sees it before the swap.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::record::BatchHeader;
use crate::storage::aborted::{self, Entry as AbortedEntry};
use crate::storage::batches::{Located, plausible};
use crate::storage::checkpoint::replace_raw;
use crate::storage::disk::Mode;
use crate::storage::segment::{Growing, Stamps, file_name};
use crate::storage::{Disk, DiskFile, StorageError};

/// The ending of files that no swap has named yet (Kafka's too).
pub(in crate::storage) const CLEANED: &str = "cleaned";
/// The files of a segment that compaction writes.
pub(in crate::storage) const EXTENSIONS: [&str; 4] = ["log", "index", "timeindex", "txnindex"];
/// How much is gathered before it is written.
const BUFFER: usize = 1 << 20;

/// A segment being written.
pub(in crate::storage) struct Output {
    pub(in crate::storage) base: i64,
    /// The offset behind its last batch.
    pub(in crate::storage) end: i64,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    dir: PathBuf,
    written: u64,
    buffer: Vec<u8>,
    growing: Growing,
    stamps: Stamps,
    aborted: Vec<AbortedEntry>,
}

/// What is left of an output once it is on disk.
pub(in crate::storage) struct Finished {
    pub(in crate::storage) base: i64,
    pub(in crate::storage) end: i64,
    pub(in crate::storage) size: u64,
    pub(in crate::storage) file: Arc<dyn DiskFile>,
    pub(in crate::storage) offsets: Vec<u8>,
    pub(in crate::storage) times: Vec<u8>,
    pub(in crate::storage) aborted: Vec<AbortedEntry>,
}

/// The path of one of the files at `base` before the swap.
pub(in crate::storage) fn cleaned_path(dir: &Path, base: i64, extension: &str) -> PathBuf {
    dir.join(file_name(base, &format!("{extension}.{CLEANED}")))
}

/// Removes an output's files; missing ones are fine.
pub(in crate::storage) fn discard(disk: &dyn Disk, dir: &Path, base: i64) {
    for extension in EXTENSIONS {
        let _ = disk.remove(&cleaned_path(dir, base, extension));
    }
}

impl Output {
    pub(in crate::storage) fn create(disk: &dyn Disk, dir: &Path, base: i64) -> Result<Self, StorageError> {
        let path = cleaned_path(dir, base, "log");
        let create = || -> io::Result<_> {
            let file = disk.open(&path, Mode::Create)?;
            file.set_len(0)?;
            Ok(file)
        };
        let file = create().map_err(StorageError::io("creating", &path))?;
        Ok(Self {
            base,
            end: base,
            file,
            path,
            dir: dir.to_path_buf(),
            written: 0,
            buffer: Vec::new(),
            growing: Growing::EMPTY,
            stamps: Stamps::NONE,
            aborted: Vec::new(),
        })
    }

    /// Bytes so far.
    pub(in crate::storage) fn size(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether a batch fits: the segment's size, offsets that its index can say, room in either index.
    pub(in crate::storage) fn fits(&self, header: &BatchHeader, len: u64, limits: &Limits) -> bool {
        self.size() + len <= limits.segment_bytes
            && header.last_offset() - self.base <= i64::from(i32::MAX)
            && !self.growing.is_full(limits.index_bytes)
    }

    /// Adds a batch.
    pub(in crate::storage) fn push(
        &mut self,
        bytes: &[u8],
        header: &BatchHeader,
        interval: u32,
    ) -> Result<(), StorageError> {
        // As it is now: fewer records, and other latest times.
        let header = plausible(bytes).unwrap_or(*header);
        let located = Located { position: self.size(), header };
        self.growing.add(self.base, &located, interval, &mut self.stamps);
        self.end = header.next_offset();
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Keeps an entry of the `.txnindex`.
    pub(in crate::storage) fn push_aborted(&mut self, entry: AbortedEntry) {
        self.aborted.push(entry);
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.file
            .write_vectored_at(&[IoSlice::new(&self.buffer)], self.written)
            .map_err(StorageError::io("writing", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes and syncs everything, `.txnindex` too where the old segments have one; the folder's entries are the caller's
    /// to sync.
    pub(in crate::storage) fn finish(
        mut self,
        disk: &dyn Disk,
        aborted_index: bool,
    ) -> Result<Finished, StorageError> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.file.sync().map_err(StorageError::io("syncing", &self.path))?;
        self.growing.close(self.base, self.stamps);
        let aborted = aborted::encode(&self.aborted);
        let mut files = vec![("index", &self.growing.offsets), ("timeindex", &self.growing.times)];
        if aborted_index {
            files.push(("txnindex", &aborted));
        }
        for (extension, bytes) in files {
            replace_raw(disk, &cleaned_path(&self.dir, self.base, extension), bytes, true)?;
        }
        Ok(Finished {
            base: self.base,
            end: self.end,
            size: self.written,
            file: self.file,
            offsets: self.growing.offsets,
            times: self.growing.times,
            aborted: self.aborted,
        })
    }
}

/// How large a new segment may get.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct Limits {
    pub(in crate::storage) segment_bytes: u64,
    pub(in crate::storage) index_bytes: u32,
}

impl Limits {
    /// Whether a segment surely fits behind what an output holds, all of its batches taken.
    pub(in crate::storage) fn takes(&self, out: &Output, size: u64, last_offset: i64) -> bool {
        out.size() + size <= self.segment_bytes
            && last_offset - out.base <= i64::from(i32::MAX)
            && !out.growing.is_full(self.index_bytes)
    }
}
