//! Syncing: everything appended before the call is made durable, each file once; a failed one is never retried.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Boundary, Core, Log, Writer};
use crate::storage::files::is_out_of_files;
use crate::storage::segment::Segment;
use crate::storage::{StorageError, held};

/// What one sync has to cover, taken under the append lock.
struct Due {
    boundary: Boundary,
    segments: Vec<Arc<Segment>>,
    bytes: u64,
    dir: bool,
    note: bool,
}

impl Log {
    /// Syncs everything appended before the call; returns the durable end then. Appends go on meanwhile.
    ///
    /// # Errors
    /// `Failed`: the log is latched, cut to what was durable before. `Closed` after [`Log::close`] or [`Log::delete`].
    /// `Io`: too many files are open for the folder to be; nothing is lost, and the next sync covers what this one had to.
    pub fn sync(&self) -> Result<i64, StorageError> {
        let Some(core) = self.core.get() else { return Ok(self.durable_end()) };
        let _turn = held(&core.flushing);
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed { log: self.name.clone() });
        }
        let Some(due) = self.due(&mut held(&core.writer))? else { return Ok(self.durable_end()) };
        let done = self.perform(&due);
        let mut writer = held(&core.writer);
        if let Some(reason) = &writer.failed {
            // An append failed meanwhile and the log was cut.
            return Err(StorageError::Failed { log: self.name.clone(), reason: reason.clone() });
        }
        if let Err(error) = done {
            if is_out_of_files(&error) {
                // The folder could not be opened, so nothing was tried on it: all that was due stays due.
                writer.dir_dirty |= due.dir;
                return Err(StorageError::io("syncing", &self.dir)(error));
            }
            return Err(self.latch(&mut writer, &error));
        }
        self.settle(core, &mut writer, &due);
        Ok(due.boundary.offset)
    }

    fn due(&self, writer: &mut Writer) -> Result<Option<Due>, StorageError> {
        if let Some(reason) = &writer.failed {
            return Err(StorageError::Failed { log: self.name.clone(), reason: reason.clone() });
        }
        let active = &writer.active;
        let boundary = Boundary { base: active.base, position: active.size(), offset: self.log_end() };
        // A file can be dirty with nothing new in it: what a failed write left was cut away, and that has to last too.
        let dirty = active.is_dirty() || !writer.unsynced.is_empty();
        if boundary == writer.durable && !dirty && !writer.dir_dirty {
            return Ok(None);
        }
        let mut segments = writer.unsynced.clone();
        if active.is_dirty() {
            segments.push(Arc::clone(active));
        }
        Ok(Some(Due {
            boundary,
            segments,
            bytes: self.unsynced.load(Ordering::Relaxed),
            dir: std::mem::take(&mut writer.dir_dirty),
            note: writer.noted && !writer.note_synced,
        }))
    }

    fn perform(&self, due: &Due) -> io::Result<()> {
        for segment in &due.segments {
            segment.file().map_err(into_io)?.sync()?;
        }
        if due.dir {
            self.folder.files().sync_dir(&self.dir)?;
        }
        if due.note {
            self.folder.sync_journal().map_err(into_io)?;
        }
        Ok(())
    }

    fn settle(&self, core: &Core, writer: &mut Writer, due: &Due) {
        self.unsynced.fetch_sub(due.bytes, Ordering::Relaxed);
        writer.note_synced |= due.note;
        for segment in &due.segments {
            let last = due.boundary.base == segment.base;
            segment.set_dirty(last && segment.size() > due.boundary.position);
        }
        writer.unsynced.retain(|segment| segment.is_dirty());
        // What retention or a cut removed meanwhile must not bring the mark back.
        if core.segments().iter().any(|segment| segment.base == due.boundary.base) {
            writer.durable = due.boundary;
        }
        self.durable.fetch_max(due.boundary.offset, Ordering::AcqRel);
    }
}

fn into_io(error: StorageError) -> io::Error {
    match error {
        StorageError::Io { source, .. } => source,
        other => io::Error::other(other.to_string()),
    }
}
