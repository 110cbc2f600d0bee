//! One segment: its file, how much of it is whole batches, and its two indexes; opened on first use, never created here.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use super::aborted::{self, Entry as AbortedEntry};
use super::batches::{Located, Step, Walk};
use super::checked::Checked;
use super::checkpoint::{read_raw, replace_raw};
use super::compact::output::Finished;
use super::disk::Mode;
use super::files::{Files, is_out_of_files};
use super::index::{self, OffsetEntry, TimeEntry};
use super::map::Map;
use super::{DiskFile, StorageError, held};

/// A segment's file name: the base offset in 20 digits and what it is.
pub(super) fn file_name(base: i64, extension: &str) -> String {
    format!("{base:020}.{extension}")
}

/// What the batches of a segment say about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamps {
    /// The largest timestamp, -1 without one.
    pub(super) max: i64,
    /// The last offset of the batch that first brought it.
    pub(super) max_offset: i64,
}

impl Stamps {
    pub(super) const NONE: Self = Self { max: -1, max_offset: -1 };

    /// A batch without records says nothing about time, whatever compaction left in its header.
    fn take(&mut self, batch: &Located) {
        if batch.header.max_timestamp > self.max && batch.header.count > 0 {
            *self = Self { max: batch.header.max_timestamp, max_offset: batch.header.last_offset() };
        }
    }
}

/// The indexes of a segment that still grows: all in memory, written out at checkpoints and when it is rolled.
#[derive(Debug)]
pub(super) struct Growing {
    pub(super) offsets: Vec<u8>,
    pub(super) times: Vec<u8>,
    /// Bytes of log since the last entry.
    since: u64,
    /// How much of each is in its file; `None` when the file holds something else and has to be replaced.
    offsets_written: Option<usize>,
    times_written: Option<usize>,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Map),
    Owned(Vec<u8>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
enum Indexes {
    /// A closed segment's, not looked at yet.
    Unloaded,
    Growing(Growing, Stamps),
    Closed {
        offsets: Bytes,
        times: Bytes,
    },
}

/// One segment. `size` and `end` are published by the writer (end first, so that a reader that sees a size sees an end
/// at or behind it); `slot` and `indexes` are short locks of this segment alone.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: i64,
    path: PathBuf,
    files: Arc<Files>,
    size: AtomicU64,
    end: AtomicI64,
    slot: Mutex<Option<Arc<dyn DiskFile>>>,
    used: AtomicU64,
    dirty: AtomicBool,
    /// The log was deleted, or compaction replaced the segment: what lies at the path now is another's.
    gone: AtomicBool,
    /// Ranges of the file that recovery found to be no batches.
    damaged: OnceLock<Vec<Range<u64>>>,
    /// What readers need not check.
    checked: Mutex<Checked>,
    indexes: RwLock<Indexes>,
    aborted: RwLock<Aborted>,
}

/// The entries of a segment's `.txnindex`.
#[derive(Debug, Default)]
struct Aborted {
    /// `None` where the file was not looked at yet.
    entries: Option<Vec<AbortedEntry>>,
    /// How many of them the file holds for sure; `None` when it may hold something else, or lose it in a power cut.
    written: Option<usize>,
}

impl Segment {
    /// A segment of `folder` that holds `size` bytes of whole batches, the last of which ends before `end`.
    pub(super) fn closed(files: &Arc<Files>, folder: &Path, base: i64, size: u64, end: i64) -> Arc<Self> {
        Arc::new(Self::with(files, folder, base, size, end, Indexes::Unloaded))
    }

    /// A segment that takes appends; its indexes are in memory.
    pub(super) fn growing(files: &Arc<Files>, folder: &Path, base: i64) -> Arc<Self> {
        let indexes = Indexes::Growing(Growing::EMPTY, Stamps::NONE);
        let segment = Self::with(files, folder, base, 0, base, indexes);
        segment.set_aborted(Vec::new(), None);
        Arc::new(segment)
    }

    /// A segment that compaction made: whole and synced, its file open and pinned until it has its name
    /// ([`Segment::set_dirty`]), its indexes in memory until then.
    pub(super) fn compacted(files: &Arc<Files>, folder: &Path, made: Finished) -> Arc<Self> {
        let indexes =
            Indexes::Closed { offsets: Bytes::Owned(made.offsets), times: Bytes::Owned(made.times) };
        let segment = Arc::new(Self::with(files, folder, made.base, made.size, made.end, indexes));
        let written = made.aborted.len();
        segment.set_aborted(made.aborted, Some(written));
        segment.set_damaged(Vec::new());
        // Its batches were checked on their way, just now.
        held(&segment.checked).forget(0);
        segment.set_dirty(true);
        segment.adopt(made.file);
        segment
    }

    fn with(files: &Arc<Files>, folder: &Path, base: i64, size: u64, end: i64, indexes: Indexes) -> Self {
        Self {
            base,
            path: folder.join(file_name(base, "log")),
            files: Arc::clone(files),
            size: AtomicU64::new(size),
            end: AtomicI64::new(end),
            slot: Mutex::new(None),
            used: AtomicU64::new(0),
            dirty: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            damaged: OnceLock::new(),
            checked: Mutex::new(Checked::behind(size)),
            indexes: RwLock::new(indexes),
            aborted: RwLock::default(),
        }
    }

    /// Says once which ranges of the file are no batches.
    pub(super) fn set_damaged(&self, ranges: Vec<Range<u64>>) {
        let _ = self.damaged.set(ranges);
    }

    /// Whether a reader need not check these bytes: they were written or checked not long ago.
    pub(super) fn is_checked(&self, range: &Range<u64>) -> bool {
        held(&self.checked).covers(range)
    }

    /// Says that these bytes are as they were written.
    pub(super) fn set_checked(&self, range: Range<u64>) {
        held(&self.checked).add(range);
    }

    /// What is there now is to be checked again.
    pub(super) fn forget_checked(&self) {
        held(&self.checked).forget(self.size());
    }

    /// Bytes of whole batches.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The offset behind the last batch.
    pub(super) fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    /// Makes what was written visible to readers.
    pub(super) fn publish(&self, size: u64, end: i64) {
        self.end.store(end, Ordering::Release);
        self.size.store(size, Ordering::Release);
    }

    /// The path of the `.log` file or one of its companions.
    pub(super) fn path(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }

    /// Unsynced bytes keep the file open, so that the sync that covers them sees their write errors.
    pub(super) fn set_dirty(&self, dirty: bool) {
        self.dirty.store(dirty, Ordering::Relaxed);
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Relaxed)
    }

    /// The segment's file, opened when it is not.
    pub(super) fn file(self: &Arc<Self>) -> Result<Arc<dyn DiskFile>, StorageError> {
        let mut slot = held(&self.slot);
        self.used.store(self.files.now(), Ordering::Relaxed);
        if let Some(file) = slot.as_ref() {
            return Ok(Arc::clone(file));
        }
        if self.gone.load(Ordering::Acquire) {
            return Err(StorageError::io("opening", &self.path)(io::ErrorKind::NotFound.into()));
        }
        let mut opened = self.files.disk().open(&self.path, Mode::Write);
        if opened.as_ref().is_err_and(is_out_of_files) {
            drop(slot);
            self.files.relieve();
            slot = held(&self.slot);
            if let Some(file) = slot.as_ref() {
                return Ok(Arc::clone(file));
            }
            if self.gone.load(Ordering::Acquire) {
                return Err(StorageError::io("opening", &self.path)(io::ErrorKind::NotFound.into()));
            }
            opened = self.files.disk().open(&self.path, Mode::Write);
        }
        let file = opened.map_err(StorageError::io("opening", &self.path))?;
        *slot = Some(Arc::clone(&file));
        drop(slot);
        self.files.opened(self);
        Ok(file)
    }

    /// Gives the segment the file it was just created with.
    pub(super) fn adopt(self: &Arc<Self>, file: Arc<dyn DiskFile>) {
        *held(&self.slot) = Some(file);
        self.files.opened(self);
    }

    pub(super) fn is_open(&self) -> bool {
        self.slot.try_lock().map_or(true, |slot| slot.is_some())
    }

    pub(super) fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Closes the file (and forgets a closed segment's indexes) unless it is dirty or being used right now.
    pub(super) fn close_idle(&self) -> bool {
        let Ok(mut slot) = self.slot.try_lock() else { return false };
        if self.is_dirty() || slot.take_if(|file| Arc::strong_count(file) == 1).is_none() {
            return false;
        }
        if let Ok(mut indexes) = self.indexes.try_write()
            && matches!(*indexes, Indexes::Closed { .. })
        {
            *indexes = Indexes::Unloaded;
            self.forget_aborted();
        }
        true
    }

    /// Lets go of the file whatever its state.
    pub(super) fn close(&self) {
        *held(&self.slot) = None;
    }

    /// Lets go of the file for good: it is never opened by its path again.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
        self.set_dirty(false);
        self.close();
    }

    // Indexes.

    /// Looks at the bytes of both indexes; a closed segment's are mapped first.
    pub(super) fn with_indexes<T>(
        self: &Arc<Self>,
        look: impl FnOnce(&[u8], &[u8]) -> T,
    ) -> Result<T, StorageError> {
        loop {
            let indexes = self.indexes.read().unwrap_or_else(|held| held.into_inner());
            match &*indexes {
                Indexes::Growing(growing, _) => return Ok(look(&growing.offsets, &growing.times)),
                Indexes::Closed { offsets, times } => return Ok(look(offsets.get(), times.get())),
                Indexes::Unloaded => {}
            }
            drop(indexes);
            self.load_closed()?;
        }
    }

    /// Adds a batch to a growing segment's indexes by Kafka's rule: when more than `interval` bytes came since the last
    /// entry, this batch gets one.
    pub(super) fn index(&self, batch: &Located, interval: u32) {
        let mut indexes = self.indexes.write().unwrap_or_else(|held| held.into_inner());
        if let Indexes::Growing(growing, stamps) = &mut *indexes {
            growing.add(self.base, batch, interval, stamps);
        }
    }

    /// Entries of a growing segment's larger index, as a share of `segment.index.bytes`: whether one more could not fit.
    pub(super) fn indexes_full(&self, index_bytes: u32) -> bool {
        let indexes = self.indexes.read().unwrap_or_else(|held| held.into_inner());
        matches!(&*indexes, Indexes::Growing(growing, _) if growing.is_full(index_bytes))
    }

    /// The largest timestamp and its offset; for a closed segment what its time index ends with.
    pub(super) fn stamps(self: &Arc<Self>) -> Result<Stamps, StorageError> {
        if let Indexes::Growing(_, stamps) = &*self.indexes.read().unwrap_or_else(|held| held.into_inner()) {
            return Ok(*stamps);
        }
        self.with_indexes(|_, times| {
            index::last_time(times).map_or(Stamps::NONE, |last| Stamps {
                max: last.timestamp,
                max_offset: self.base + i64::from(last.relative),
            })
        })
    }

    /// Turns to a growing segment, indexing from what the files hold: trusted entries up to the relative offset
    /// `indexed_to` are kept. Returns the last one, where the walk over the rest has to begin.
    pub(super) fn begin_growing(&self, indexed_to: i64) -> Result<Option<OffsetEntry>, StorageError> {
        let disk = self.files.disk().as_ref();
        let mut growing = Growing {
            offsets: read_raw(disk, &self.path("index"))?.unwrap_or_default(),
            times: read_raw(disk, &self.path("timeindex"))?.unwrap_or_default(),
            ..Growing::EMPTY
        };
        let (offsets_len, times_len) = (growing.offsets.len(), growing.times.len());
        growing.offsets.truncate(index::trusted_offsets(&growing.offsets, self.size(), indexed_to));
        growing.times.truncate(index::trusted_times(&growing.times, indexed_to));
        if growing.times.is_empty() {
            // A lost time index can only be had back by walking from the start.
            growing.offsets.clear();
        }
        // The time index counts only as far as the offset index does: the walk brings back what lies behind.
        let last = index::last_offset(&growing.offsets);
        let upto = last.map_or(0, |entry| i64::from(entry.relative) + 1);
        growing.times.truncate(index::trusted_times(&growing.times, upto));
        let stamps = index::last_time(&growing.times).map_or(Stamps::NONE, |entry| Stamps {
            max: entry.timestamp,
            max_offset: self.base + i64::from(entry.relative),
        });
        // A file that holds more than is trusted is written again from the start.
        growing.offsets_written = (offsets_len == growing.offsets.len()).then_some(offsets_len);
        growing.times_written = (times_len == growing.times.len()).then_some(times_len);
        *self.indexes.write().unwrap_or_else(|held| held.into_inner()) = Indexes::Growing(growing, stamps);
        Ok(last)
    }

    /// Forgets index entries of batches that a cut took away.
    pub(super) fn cut_indexes(&self, size: u64, end: i64) {
        let mut indexes = self.indexes.write().unwrap_or_else(|held| held.into_inner());
        if let Indexes::Growing(growing, stamps) = &mut *indexes {
            let relative = end - self.base;
            let offsets = index::trusted_offsets(&growing.offsets, size, relative);
            let times = index::trusted_times(&growing.times, relative);
            if offsets < growing.offsets.len() {
                growing.offsets.truncate(offsets);
                growing.offsets_written = None;
            }
            if times < growing.times.len() {
                growing.times.truncate(times);
                growing.times_written = None;
            }
            if stamps.max_offset >= end {
                *stamps = index::last_time(&growing.times).map_or(Stamps::NONE, |entry| Stamps {
                    max: entry.timestamp,
                    max_offset: self.base + i64::from(entry.relative),
                });
            }
        }
    }

    /// Writes what the index files lack. With `last_stamp` the largest timestamp so far gets its entry too, as Kafka
    /// writes it when a segment is closed. With `durable` the files are synced.
    pub(super) fn write_indexes(&self, last_stamp: bool, durable: bool) -> Result<(), StorageError> {
        let mut indexes = self.indexes.write().unwrap_or_else(|held| held.into_inner());
        let Indexes::Growing(growing, stamps) = &mut *indexes else { return Ok(()) };
        if last_stamp {
            growing.close(self.base, *stamps);
        }
        // An empty index gets its (empty) file only when the segment is closed.
        let empty_too = last_stamp;
        self.write_index("index", &growing.offsets, &mut growing.offsets_written, durable, empty_too)?;
        self.write_index("timeindex", &growing.times, &mut growing.times_written, durable, empty_too)
    }

    fn write_index(
        &self,
        extension: &str,
        bytes: &[u8],
        written: &mut Option<usize>,
        durable: bool,
        empty_too: bool,
    ) -> Result<(), StorageError> {
        if *written == Some(bytes.len()) && !(bytes.is_empty() && empty_too) {
            return Ok(());
        }
        let path = self.path(extension);
        let disk = self.files.disk().as_ref();
        match *written {
            // Also where the file must shrink: an older mapping keeps the file that it has.
            None => replace_raw(disk, &path, bytes, durable)?,
            Some(before) => {
                let append = || -> io::Result<()> {
                    let file = disk.open(&path, Mode::Create)?;
                    if before == 0 {
                        file.set_len(0)?;
                    }
                    let rest = bytes.get(before..).unwrap_or_default();
                    file.write_vectored_at(&[io::IoSlice::new(rest)], before as u64)?;
                    if durable { file.sync() } else { Ok(()) }
                };
                append().map_err(StorageError::io("writing", &path))?;
            }
        }
        *written = Some(bytes.len());
        Ok(())
    }

    /// A rolled segment takes no more batches: its indexes leave memory and are mapped when needed.
    pub(super) fn end_growing(&self) {
        *self.indexes.write().unwrap_or_else(|held| held.into_inner()) = Indexes::Unloaded;
    }

    // Aborted transactions.

    /// An abort marker was appended.
    pub(super) fn push_aborted(&self, entry: AbortedEntry) {
        let mut aborted = self.aborted.write().unwrap_or_else(|held| held.into_inner());
        if let Some(entries) = &mut aborted.entries {
            entries.push(entry);
        }
    }

    /// What the segment's `.txnindex` holds is known from elsewhere; `written` is how many of these the file has.
    pub(super) fn set_aborted(&self, entries: Vec<AbortedEntry>, written: Option<usize>) {
        let entries = Some(entries);
        *self.aborted.write().unwrap_or_else(|held| held.into_inner()) = Aborted { entries, written };
    }

    /// What the segment's `.txnindex` holds is read when it is asked for.
    pub(super) fn unload_aborted(&self) {
        *self.aborted.write().unwrap_or_else(|held| held.into_inner()) = Aborted::default();
    }

    /// Forgets transactions whose markers a cut took away.
    pub(super) fn cut_aborted(&self, end: i64) {
        let mut aborted = self.aborted.write().unwrap_or_else(|held| held.into_inner());
        if let Some(entries) = &mut aborted.entries {
            let keep = entries.partition_point(|entry| entry.last_offset < end);
            if keep < entries.len() {
                entries.truncate(keep);
                aborted.written = None;
            }
        }
    }

    /// Looks at the aborted transactions whose markers lie in this segment; `None` where its file is not as it should be.
    pub(super) fn with_aborted<T>(
        &self,
        look: impl FnOnce(&[AbortedEntry]) -> T,
    ) -> Result<Option<T>, StorageError> {
        {
            let aborted = self.aborted.read().unwrap_or_else(|held| held.into_inner());
            if let Some(entries) = &aborted.entries {
                return Ok(Some(look(entries)));
            }
        }
        // As for the log's own file: what lies at the path once this is gone belongs to another segment.
        let _stays = held(&self.slot);
        if self.gone.load(Ordering::Acquire) {
            return Err(StorageError::io("opening", &self.path)(io::ErrorKind::NotFound.into()));
        }
        let bytes = read_raw(self.files.disk().as_ref(), &self.path("txnindex"))?.unwrap_or_default();
        let (entries, whole) = aborted::decode(&bytes, self.base, self.end());
        if !whole {
            return Ok(None);
        }
        let answer = look(&entries);
        let mut aborted = self.aborted.write().unwrap_or_else(|held| held.into_inner());
        if aborted.entries.is_none() {
            *aborted = Aborted { written: Some(entries.len()), entries: Some(entries) };
        }
        Ok(Some(answer))
    }

    /// Replaces the `.txnindex` where it lacks entries, synced before it takes the old one's place: what was durable in
    /// that must stay so. A segment without aborted transactions has none.
    pub(super) fn write_aborted(&self) -> Result<(), StorageError> {
        // Held while the file is written by its path, which may be another segment's once this one is gone.
        let _stays = held(&self.slot);
        let mut aborted = self.aborted.write().unwrap_or_else(|held| held.into_inner());
        let Some(entries) = aborted.entries.as_ref().filter(|entries| aborted.written != Some(entries.len()))
        else {
            return Ok(());
        };
        if self.gone.load(Ordering::Acquire) {
            return Ok(());
        }
        let (path, disk) = (self.path("txnindex"), self.files.disk().as_ref());
        let count = entries.len();
        if count > 0 {
            replace_raw(disk, &path, &aborted::encode(entries), true)?;
        } else {
            match disk.remove(&path) {
                // The usual case, and no reason to sync the folder of every log.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => {
                    let folder = path.parent().unwrap_or(&path);
                    done.and_then(|()| disk.sync_dir(folder)).map_err(StorageError::io("removing", &path))?;
                }
            }
        }
        aborted.written = Some(count);
        Ok(())
    }

    /// Whether the segment has, or may have, aborted transactions.
    pub(super) fn has_aborted(&self) -> bool {
        let aborted = self.aborted.read().unwrap_or_else(|held| held.into_inner());
        // What was forgotten is in the file, and was more than nothing.
        aborted.entries.as_ref().is_none_or(|entries| !entries.is_empty())
    }

    /// Entries that the file has too need not stay in memory.
    fn forget_aborted(&self) {
        if let Ok(mut aborted) = self.aborted.try_write()
            && aborted
                .entries
                .as_ref()
                .is_some_and(|entries| !entries.is_empty() && aborted.written == Some(entries.len()))
        {
            *aborted = Aborted::default();
        }
    }

    fn load_closed(self: &Arc<Self>) -> Result<(), StorageError> {
        let (offsets, times) = {
            // As for the log's own file: what lies at the path once this is gone belongs to another segment.
            let _stays = held(&self.slot);
            if self.gone.load(Ordering::Acquire) {
                return Err(StorageError::io("opening", &self.path)(io::ErrorKind::NotFound.into()));
            }
            (self.open_index("index")?, self.open_index("timeindex")?)
        };
        let relative = self.end() - self.base;
        let good = index::trusted_offsets(offsets.get(), self.size(), relative) == offsets.get().len()
            && index::trusted_times(times.get(), relative) == times.get().len()
            && !(times.get().is_empty() && self.size() > 0);
        if !good {
            return self.rebuild_closed();
        }
        let mut indexes = self.indexes.write().unwrap_or_else(|held| held.into_inner());
        if matches!(*indexes, Indexes::Unloaded) {
            *indexes = Indexes::Closed { offsets, times };
        }
        Ok(())
    }

    fn open_index(&self, extension: &str) -> Result<Bytes, StorageError> {
        let path = self.path(extension);
        let open = || -> io::Result<Bytes> {
            let file = self.files.disk().open(&path, Mode::Read)?;
            let len = file.len()?;
            if len > 0
                && let Some(fd) = file.fd()
            {
                return Ok(Bytes::Mapped(Map::new(fd)?));
            }
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            super::disk::read_exact_at(file.as_ref(), &mut bytes, 0)?;
            Ok(Bytes::Owned(bytes))
        };
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bytes::Owned(Vec::new())),
            done => done.map_err(StorageError::io("reading", &path)),
        }
    }

    /// A closed segment's indexes are missing or not as they should be: makes them anew from the batch headers.
    fn rebuild_closed(self: &Arc<Self>) -> Result<(), StorageError> {
        let file = self.file()?;
        let mut growing = Growing::EMPTY;
        let mut stamps = Stamps::NONE;
        let damaged = self.damaged.get().map(Vec::as_slice).unwrap_or_default();
        let mut walk = Walk::new(file.as_ref(), 0, self.size());
        loop {
            if let Some(range) = damaged.iter().find(|range| range.contains(&walk.position())) {
                walk = Walk::new(file.as_ref(), range.end, self.size());
                continue;
            }
            match walk.step().map_err(StorageError::io("reading", &self.path))? {
                Step::Batch(batch) => growing.add(self.base, &batch, DEFAULT_INTERVAL, &mut stamps),
                Step::End | Step::Bad => break,
            }
        }
        growing.close(self.base, stamps);
        {
            // Held while files are written by their path, which may be another segment's once this one is gone.
            let _stays = held(&self.slot);
            if !self.gone.load(Ordering::Acquire) {
                let disk = self.files.disk().as_ref();
                // On a full disk they stay in memory only: reading must not depend on room to write.
                let _ = replace_raw(disk, &self.path("index"), &growing.offsets, false);
                let _ = replace_raw(disk, &self.path("timeindex"), &growing.times, false);
            }
        }
        let mut indexes = self.indexes.write().unwrap_or_else(|held| held.into_inner());
        *indexes =
            Indexes::Closed { offsets: Bytes::Owned(growing.offsets), times: Bytes::Owned(growing.times) };
        Ok(())
    }
}

/// The interval of a rebuilt index (Kafka's default); what the topic says matters only for its size.
pub(super) const DEFAULT_INTERVAL: u32 = 4096;

impl Growing {
    pub(super) const EMPTY: Self = Self {
        offsets: Vec::new(),
        times: Vec::new(),
        since: 0,
        offsets_written: Some(0),
        times_written: Some(0),
    };

    /// Whether one more entry could be more than `segment.index.bytes` allows.
    pub(super) fn is_full(&self, index_bytes: u32) -> bool {
        let limit = index_bytes as usize;
        // One entry of the time index is kept free for the one that closing writes.
        self.offsets.len() + index::OFFSET_ENTRY > limit || self.times.len() + 2 * index::TIME_ENTRY > limit
    }

    /// The largest timestamp gets its entry, as Kafka writes it when a segment is closed.
    pub(super) fn close(&mut self, base: i64, stamps: Stamps) {
        if stamps.max >= 0 {
            let relative = i32::try_from(stamps.max_offset - base).unwrap_or(i32::MAX);
            index::push_time(&mut self.times, TimeEntry { timestamp: stamps.max, relative });
        }
    }

    pub(super) fn add(&mut self, base: i64, batch: &Located, interval: u32, stamps: &mut Stamps) {
        stamps.take(batch);
        if self.since > u64::from(interval) {
            let relative = i32::try_from(batch.header.last_offset() - base).unwrap_or(i32::MAX);
            let position = u32::try_from(batch.position).unwrap_or(u32::MAX);
            index::push_offset(&mut self.offsets, OffsetEntry { relative, position });
            if stamps.max >= 0 {
                let relative = i32::try_from(stamps.max_offset - base).unwrap_or(i32::MAX);
                index::push_time(&mut self.times, TimeEntry { timestamp: stamps.max, relative });
            }
            self.since = 0;
        }
        self.since += batch.header.size() as u64;
    }
}
