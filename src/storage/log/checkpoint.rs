//! Checkpoints and closing: what makes the next start short. Nothing here decides what a record is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Core, Log, Writer};
use crate::storage::checkpoint::replace_raw;
use crate::storage::disk::Mode;
use crate::storage::folder::Entry;
use crate::storage::segment::{Segment, file_name};
use crate::storage::{StorageError, held};

/// Snapshots of producers kept besides the newest (an older one serves when the newest is not whole).
const SNAPSHOTS_KEPT: usize = 2;

impl Log {
    /// Syncs, writes indexes and the producer snapshot and moves the recovery point in the folder's checkpoint (in memory:
    /// [`crate::storage::Folder::checkpoint`] writes it). Does nothing to a log that was not used.
    ///
    /// # Errors
    /// `Failed`, `Io`; the recovery point then stays.
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        let Some(core) = self.core.get() else { return Ok(()) };
        let (end, active, unindexed) = {
            let mut writer = held(&core.writer);
            self.check_open(&writer)?;
            self.write_snapshot(&mut writer);
            (self.log_end(), Arc::clone(&writer.active), std::mem::take(&mut writer.unindexed))
        };
        let written = self.write_out(&active, &unindexed);
        let mut writer = held(&core.writer);
        if let Err(error) = written {
            writer.unindexed.extend(unindexed);
            return Err(error);
        }
        // Under the append lock: an append that comes later notes the log as dirty again.
        let clean = writer.noted && self.log_end() == end && writer.failed.is_none() && !writer.dir_dirty;
        if clean {
            writer.noted = false;
        }
        self.folder.set_entry(&self.name, self.entry_at(end, &writer));
        Ok(())
    }

    fn write_out(&self, active: &Arc<Segment>, unindexed: &[Arc<Segment>]) -> Result<(), StorageError> {
        // After this everything below the end taken before is durable, which is what the recovery point says.
        self.sync()?;
        for segment in unindexed {
            for extension in ["index", "timeindex"] {
                let path = segment.path(extension);
                match self.folder.disk().open(&path, Mode::Write).and_then(|file| file.sync()) {
                    // Removed by retention, or never written on a full disk: made again when needed.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    done => done.map_err(StorageError::io("syncing", &path))?,
                }
            }
        }
        active.write_indexes(false, true)
    }

    pub(super) fn entry_at(&self, recovery_point: i64, writer: &Writer) -> Entry {
        Entry {
            topic_id: self.topic_id,
            log_start: self.log_start(),
            recovery_point,
            dirty: writer.noted,
            producers: !writer.producers.is_empty(),
        }
    }

    /// Writes the producers' state as of the log end, unless there is none or it is there already. A failure costs only
    /// time at the next recovery: an older snapshot and the batches behind it say the same.
    pub(super) fn write_snapshot(&self, writer: &mut Writer) {
        let end = self.log_end();
        if writer.snapshot_at == end || (writer.producers.is_empty() && writer.snapshots.is_empty()) {
            return;
        }
        let disk = self.folder.disk();
        let path = self.dir.join(file_name(end, "snapshot"));
        if replace_raw(disk.as_ref(), &path, &writer.producers.to_snapshot(), false).is_err() {
            return;
        }
        writer.snapshot_at = end;
        if writer.snapshots.back() != Some(&end) {
            writer.snapshots.push_back(end);
        }
        while writer.snapshots.len() > 1 + SNAPSHOTS_KEPT {
            if let Some(old) = writer.snapshots.pop_front() {
                let _ = disk.remove(&self.dir.join(file_name(old, "snapshot")));
            }
        }
    }

    /// Syncs, checkpoints and closes; later calls are refused. Closing twice is fine.
    ///
    /// # Errors
    /// `Failed`, `Io`: the log is closed, but the next start has to recover it.
    pub fn close(&self) -> Result<(), StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let result = self.checkpoint();
        self.closed.store(true, Ordering::Release);
        if let Some(core) = self.core.get() {
            self.release(core);
        }
        result
    }

    /// Lets go of all files; space allocated behind the end is given back.
    pub(super) fn release(&self, core: &Core) {
        let writer = held(&core.writer);
        if writer.allocated > writer.active.size()
            && writer.failed.is_none()
            && let Ok(file) = writer.active.file()
        {
            let _ = file.set_len(writer.active.size());
        }
        for segment in core.segments().iter() {
            segment.close();
        }
    }
}
