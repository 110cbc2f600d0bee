//! Appending: offsets are given, the header is patched in a copy on the stack, one write; a failed write leaves nothing.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Appended, Boundary, Core, Log, Writer};
use crate::record::{Batch, BatchSummary, ControlMarker, HEADER_LEN, Restamp, restamp_header};
use crate::storage::aborted;
use crate::storage::batches::{Located, marker_of, plausible};
use crate::storage::disk::Mode;
use crate::storage::producers::Verdict;
use crate::storage::segment::{Segment, file_name};
use crate::storage::transactions::{Guard, Origin};
use crate::storage::{DiskFile, LogSettings, StorageError, held};

/// Space is allocated in steps of this many bytes, in segments that have grown past as much.
const ALLOCATION_STEP: u64 = 64 << 20;

impl Log {
    /// Appends a client's batch, as [`Log::append_as`] does: a transaction only begins with the `guard` that
    /// [`Log::begin_verification`] gave.
    ///
    /// # Errors
    /// As there.
    pub fn append(
        &self,
        bytes: &[u8],
        summary: &BatchSummary,
        leader_epoch: i32,
        log_append_time: Option<i64>,
        guard: Option<Guard>,
    ) -> Result<Appended, StorageError> {
        let origin = Origin::Client { guard, bumps_epoch: false };
        self.append_as(bytes, summary, leader_epoch, log_append_time, origin)
    }

    /// Appends one validated batch (`bytes` is exactly one batch of magic 2): gives it its offsets, stamps the leader
    /// epoch and, with `log_append_time`, that time. Sequences and transactions are checked here, as who appends has it; a
    /// duplicate answers the old offsets.
    /// The payload is neither copied nor looked at.
    ///
    /// # Errors
    /// `BadBatch`, `BatchTooLarge`, `OutOfOrderSequence`, `ProducerFenced`, `NotInTransaction`, `InTransaction`,
    /// `CoordinatorFenced`: the batch's fault. `Full`: the next append
    /// tries afresh. `Failed`: none will succeed until the log is opened again. Nothing of the batch is kept.
    pub fn append_as(
        &self,
        bytes: &[u8],
        summary: &BatchSummary,
        leader_epoch: i32,
        log_append_time: Option<i64>,
        origin: Origin,
    ) -> Result<Appended, StorageError> {
        let batch =
            Batch::exactly(bytes).map_err(|_| StorageError::BadBatch("its length or magic is wrong"))?;
        let marker = if summary.header.is_control() { marker_of(&batch) } else { None };
        let core = self.core()?;
        let settings = self.settings();
        if bytes.len() as u64 > u64::from(settings.segment_bytes) {
            return Err(StorageError::BatchTooLarge {
                len: bytes.len(),
                segment_bytes: settings.segment_bytes,
            });
        }
        let mut writer = held(&core.writer);
        self.check_open(&writer)?;
        if let Verdict::Duplicate(old) = writer.producers.judge(&summary.header, marker, origin)? {
            return Ok(Appended {
                base_offset: old.base_offset(),
                last_offset: old.last_offset,
                // Whoever's clock it is from, as in Kafka.
                log_append_time: old.timestamp,
                log_start: self.log_start(),
                duplicate: true,
            });
        }
        let base_offset = self.log_end();
        let stamp =
            Restamp { base_offset, leader_epoch, log_append_time, max_timestamp: summary.max_timestamp };
        let head = restamp_header(&batch, &stamp);
        let Some(header) = plausible(&head) else {
            return Err(StorageError::BadBatch("its header is impossible"));
        };
        let mut located = Located { position: 0, header };
        self.roll_if_due(core, &mut writer, &located, &settings)?;
        self.note_written(&mut writer)?;
        located.position = writer.active.size();
        let rest = bytes.get(HEADER_LEN..).unwrap_or_default();
        self.write(&mut writer, &located, &[IoSlice::new(&head), IoSlice::new(rest)])?;
        self.accept(&mut writer, &located, marker, &settings);
        Ok(Appended {
            base_offset,
            last_offset: header.last_offset(),
            log_append_time: log_append_time.unwrap_or(-1),
            log_start: self.log_start(),
            duplicate: false,
        })
    }

    pub(super) fn check_open(&self, writer: &Writer) -> Result<(), StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed { log: self.name.clone() });
        }
        match &writer.failed {
            Some(reason) => Err(StorageError::Failed { log: self.name.clone(), reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Before the first write since the log was clean, the folder's journal gets its name.
    fn note_written(&self, writer: &mut Writer) -> Result<(), StorageError> {
        if !writer.noted {
            self.folder.note_dirty(&self.name).map_err(|error| self.full_or(error))?;
            writer.noted = true;
            writer.note_synced = false;
        }
        Ok(())
    }

    fn write(&self, writer: &mut Writer, batch: &Located, parts: &[IoSlice<'_>]) -> Result<(), StorageError> {
        let file = writer.active.file()?;
        writer.active.set_dirty(true);
        allocate_ahead(writer, file.as_ref(), batch.end());
        let Err(error) = file.write_vectored_at(parts, batch.position) else { return Ok(()) };
        // Whatever part of the batch came to be there is cut away again, so that the file ends with a whole batch.
        writer.allocated = 0;
        let cut = file.set_len(batch.position);
        match cut {
            Ok(()) if is_full(&error) => Err(StorageError::Full { log: self.name.clone() }),
            _ => Err(self.latch(writer, &error)),
        }
    }

    /// The batch is in the file: indexes, producers, transactions, epochs, then the ends that readers go by.
    fn accept(
        &self,
        writer: &mut Writer,
        batch: &Located,
        marker: Option<ControlMarker>,
        settings: &LogSettings,
    ) {
        writer.active.index(batch, settings.index_interval_bytes);
        let change = writer.producers.apply(&batch.header, marker, self.folder.now_ms());
        if let Some((ended, stable)) = self.transactions.note(change)
            && let Some(entry) = aborted::Entry::of(&ended, stable)
        {
            writer.active.push_aborted(entry);
            self.any_aborted.store(true, Ordering::Release);
        }
        writer.epochs_dirty |= writer.epochs.note(batch.header.leader_epoch, batch.header.base_offset);
        if batch.position == 0 {
            writer.first_timestamp = Some(batch.header.max_timestamp).filter(|&first| first >= 0);
        }
        self.unsynced.fetch_add(batch.header.size() as u64, Ordering::Relaxed);
        let next = batch.header.next_offset();
        writer.active.publish(batch.end(), next);
        self.end.store(next, Ordering::Release);
    }

    /// Begins a new segment where Kafka would: the batch does not fit, the segment's time is up by the batches'
    /// timestamps (by the clock where they have none), an index is full, or the offset would not fit the index.
    fn roll_if_due(
        &self,
        core: &Core,
        writer: &mut Writer,
        batch: &Located,
        settings: &LogSettings,
    ) -> Result<(), StorageError> {
        let size = writer.active.size();
        if size == 0 {
            return Ok(());
        }
        let waited = match writer.first_timestamp {
            Some(first) if batch.header.max_timestamp >= 0 => {
                batch.header.max_timestamp.saturating_sub(first)
            }
            _ => self.folder.clock().wall_ms().saturating_sub(writer.created_ms),
        };
        let due = size + batch.header.size() as u64 > u64::from(settings.segment_bytes)
            || waited > settings.roll_after_ms(&self.name, writer.active.base)
            || writer.active.indexes_full(settings.segment_index_bytes)
            || batch.header.last_offset() - writer.active.base > i64::from(i32::MAX);
        if due { self.roll(core, writer, settings) } else { Ok(()) }
    }

    /// Closes the active segment and begins one at the log end.
    pub(super) fn roll(
        &self,
        core: &Core,
        writer: &mut Writer,
        settings: &LogSettings,
    ) -> Result<(), StorageError> {
        let old = Arc::clone(&writer.active);
        let old_file = old.file()?;
        // With synced acknowledgements the old segment is made whole first: a tear can then only be in the last one.
        if settings.flush_messages == 1 && old.is_dirty() && old.end() > self.durable_end() {
            old_file.sync().map_err(|error| self.latch(writer, &error))?;
        }
        let base = self.log_end();
        let path = self.dir.join(file_name(base, "log"));
        let create = || -> io::Result<_> {
            let file = self.folder.disk().open(&path, Mode::Create)?;
            file.set_len(0)?;
            Ok(file)
        };
        let file = create().map_err(|error| self.full_or(StorageError::io("creating", &path)(error)))?;
        if writer.allocated > 0 {
            // Gives back what was allocated behind the end; that it failed would only cost space.
            let _ = old_file.set_len(old.size());
            writer.allocated = 0;
        }
        // Index files can be made again from the log: a failure (a full disk) must not stop the append.
        let _ = old.write_indexes(true, false);
        old.end_growing();
        let active = Segment::growing(self.folder.files(), &self.dir, base);
        active.adopt(Arc::clone(&file));
        writer.allocated = preallocate(settings, file.as_ref());
        let mut segments = core.segments().to_vec();
        segments.push(Arc::clone(&active));
        if old.is_dirty() {
            writer.unsynced.push(Arc::clone(&old));
        }
        writer.unindexed.push(old);
        writer.active = active;
        writer.dir_dirty = true;
        writer.created_ms = self.folder.clock().wall_ms();
        writer.first_timestamp = None;
        core.set_segments(segments);
        self.write_snapshot(writer);
        Ok(())
    }

    /// Latches the log after an error that leaves it unknown what the disk holds: cut at once to what is known to be
    /// durable, no appends from here on. The error to answer with.
    pub(super) fn latch(&self, writer: &mut Writer, error: &io::Error) -> StorageError {
        let reason = error.to_string();
        if writer.failed.is_none() {
            writer.failed = Some(reason.clone());
            self.failed.store(true, Ordering::Relaxed);
            if let Some(core) = self.core.get() {
                self.cut_to_durable(core, writer);
            }
        }
        StorageError::Failed { log: self.name.clone(), reason }
    }

    fn cut_to_durable(&self, core: &Core, writer: &mut Writer) {
        let Boundary { base, position, offset } = writer.durable;
        let mut segments = core.segments().to_vec();
        let keep = segments.partition_point(|segment| segment.base <= base).max(1);
        let gone = segments.split_off(keep);
        self.end.store(offset, Ordering::Release);
        if let Some(last) = segments.last()
            && last.base == base
        {
            last.publish(position, offset);
            if let Ok(file) = last.file() {
                let _ = file.set_len(position);
            }
            last.cut_indexes(position, offset);
            last.cut_aborted(offset);
        }
        self.transactions.cut(offset);
        // Newest first, so that a crash in between leaves no gap.
        for segment in gone.iter().rev() {
            segment.close();
            for extension in ["log", "index", "timeindex", "txnindex"] {
                let _ = self.folder.disk().remove(&segment.path(extension));
            }
        }
        self.unsynced.store(0, Ordering::Relaxed);
        writer.unsynced.clear();
        core.set_segments(segments);
    }

    /// An I/O error that means "disk full" says so.
    pub(super) fn full_or(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::Io { source, .. } if is_full(&source) => {
                StorageError::Full { log: self.name.clone() }
            }
            other => other,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reserves a new segment's whole size where the settings say so; answers up to where space is reserved.
pub(super) fn preallocate(settings: &LogSettings, file: &dyn DiskFile) -> u64 {
    let whole = u64::from(settings.segment_bytes);
    // A file system that can not (or has no space for it) just goes without.
    if settings.preallocate && file.allocate(0, whole).is_ok() { whole } else { 0 }
}

fn allocate_ahead(writer: &mut Writer, file: &dyn DiskFile, end: u64) {
    if end <= ALLOCATION_STEP || end <= writer.allocated {
        return;
    }
    let from = writer.allocated.max(writer.active.size());
    // A file system that can not (or has no space left) just goes without: the write itself decides.
    let step = ALLOCATION_STEP.max(end - from);
    let _ = file.allocate(from, step);
    writer.allocated = from + step;
}
