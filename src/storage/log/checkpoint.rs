//! Checkpoints and closing: what makes the next start short. Nothing here decides what a record is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Core, Log, Writer};
use crate::storage::checkpoint::replace_raw;
use crate::storage::disk::Mode;
use crate::storage::folder::Entry;
use crate::storage::segment::{Segment, file_name};
use crate::storage::{StorageError, epochs, held};

/// Snapshots of producers kept besides the newest (an older one serves when the newest is not whole).
const SNAPSHOTS_KEPT: usize = 2;

/// What a checkpoint covers, taken under the append lock.
pub(in crate::storage) struct Taken {
    end: i64,
    active: Arc<Segment>,
    unindexed: Vec<Arc<Segment>>,
    epochs: Option<String>,
    /// The segments that have a `.txnindex`, where that list changed.
    listed: Option<BTreeSet<i64>>,
}

impl Log {
    /// Syncs, writes indexes, epochs and the producer snapshot and moves the recovery point in the folder's checkpoint (in
    /// memory: [`crate::storage::Folder::checkpoint`] writes it). Does nothing to a log that was not written. For many
    /// logs at once [`crate::storage::Folder::checkpoint_logs`] is cheaper.
    ///
    /// # Errors
    /// `Failed`, `Io`; the recovery point then stays.
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        let Some(taken) = self.take_checkpoint()? else { return Ok(()) };
        let written = self.write_checkpoint(&taken, true);
        self.end_checkpoint(taken, written)
    }

    /// What there is to checkpoint, if anything.
    pub(in crate::storage) fn take_checkpoint(&self) -> Result<Option<Taken>, StorageError> {
        let Some(core) = self.core.get() else { return Ok(None) };
        let mut writer = held(&core.writer);
        self.check_open(&writer)?;
        let known = self.folder.entry(&self.name).is_some();
        if known && !writer.noted && writer.unindexed.is_empty() && !writer.dir_dirty {
            return Ok(None);
        }
        self.write_snapshot(&mut writer);
        let listed = self.with_index(core).filter(|listed| *listed != writer.listed);
        Ok(Some(Taken {
            listed,
            end: self.log_end(),
            active: Arc::clone(&writer.active),
            unindexed: std::mem::take(&mut writer.unindexed),
            epochs: std::mem::take(&mut writer.epochs_dirty).then(|| writer.epochs.to_text()),
        }))
    }

    /// Writes what recovery will not look at below the new recovery point. Unless `durable`, the caller syncs the whole
    /// file system before it goes on to [`Log::end_checkpoint`]; the log's own bytes are synced here in any case.
    pub(in crate::storage) fn write_checkpoint(
        &self,
        taken: &Taken,
        durable: bool,
    ) -> Result<(), StorageError> {
        // Files are written by path below: the log must not be deleted, and its name given away, meanwhile.
        let _stays = held(&self.loading);
        self.sync()?;
        let disk = self.folder.disk();
        for segment in taken.unindexed.iter().filter(|_| durable) {
            for extension in ["index", "timeindex"] {
                let path = segment.path(extension);
                match disk.open(&path, Mode::Write).and_then(|file| file.sync()) {
                    // Removed by retention, or never written on a full disk: made again when needed.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    done => done.map_err(StorageError::io("syncing", &path))?,
                }
            }
        }
        // They are there, and listed, or the recovery point stays: they would not be missed.
        for segment in &taken.unindexed {
            segment.write_aborted()?;
        }
        if let Some(text) = &taken.epochs {
            replace_raw(disk.as_ref(), &self.dir.join(epochs::FILE), text.as_bytes(), durable)?;
        }
        taken.active.write_indexes(false, durable)?;
        taken.active.write_aborted()?;
        taken.listed.as_ref().map_or(Ok(()), |listed| self.store_list(listed))
    }

    /// Everything below the end that was taken is durable, if `written` says so: the recovery point moves there.
    pub(in crate::storage) fn end_checkpoint(
        &self,
        taken: Taken,
        written: Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let Some(core) = self.core.get() else { return Ok(()) };
        let mut writer = held(&core.writer);
        if let Err(error) = written {
            writer.unindexed.extend(taken.unindexed);
            writer.epochs_dirty |= taken.epochs.is_some();
            return Err(error);
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed { log: self.name.clone() });
        }
        if let Some(listed) = taken.listed {
            writer.listed = listed;
        }
        // Under the append lock: an append that comes later notes the log as dirty again.
        if self.log_end() == taken.end && writer.failed.is_none() && !writer.dir_dirty {
            writer.noted = false;
        }
        self.folder.set_entry(&self.name, self.entry_at(taken.end, &writer));
        Ok(())
    }

    pub(super) fn entry_at(&self, recovery_point: i64, writer: &Writer) -> Entry {
        Entry {
            topic_id: self.topic_id,
            log_start: self.log_start(),
            recovery_point,
            dirty: writer.noted,
            producers: !writer.producers.is_empty(),
            transactions: self.transactions.is_open(),
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
        self.let_go_of_files();
        result
    }

    pub(in crate::storage) fn let_go_of_files(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(core) = self.core.get() {
            self.release(core);
        }
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
