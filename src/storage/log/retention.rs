//! What leaves a log: segments past their time or the log's size, records before a moved start, the log itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Boundary, Core, Log, Retained, Writer};
use crate::storage::segment::Segment;
use crate::storage::{LogSettings, StorageError, checkpoint, held};

/// The ending of files of deleted segments that stay for `file.delete.delay.ms` (Kafka's too).
pub(super) const DELETED: &str = ".deleted";

impl Log {
    /// Removes segments that retention by time or size, or the log start, has passed and that lie wholly below `upto` (the
    /// high watermark), oldest first. When even the active one is past its time a new one is begun, as Kafka does.
    ///
    /// # Errors
    /// `Failed`, `Full` (a new segment could not be made), `Io`. What was removed until then stays removed.
    pub fn retain(&self, now_ms: i64, upto: i64) -> Result<Retained, StorageError> {
        let settings = self.settings();
        self.remove_front(&settings, |segments| self.passed(segments, &settings, now_ms, upto))
    }

    /// Removes the segments that lie wholly below the log start, as [`Log::retain`] does among others.
    ///
    /// # Errors
    /// As there.
    pub fn remove_below_start(&self) -> Result<Retained, StorageError> {
        let start = self.log_start();
        self.remove_front(&self.settings(), |segments| {
            let closed = segments.len().saturating_sub(1);
            let below = |(index, segment): &(usize, &Arc<Segment>)| {
                (segment.size() > 0 || *index < closed) && segment.end() <= start
            };
            Ok(segments.iter().enumerate().take_while(below).count())
        })
    }

    /// Removes as many segments from the oldest on as `count` says.
    fn remove_front(
        &self,
        settings: &LogSettings,
        count: impl FnOnce(&[Arc<Segment>]) -> Result<usize, StorageError>,
    ) -> Result<Retained, StorageError> {
        let core = self.core()?;
        // Files are removed by path below: the log must not be deleted, and its name given away, meanwhile.
        let _stays = held(&self.loading);
        let mut writer = held(&core.writer);
        self.check_open(&writer)?;
        let mut segments = core.segments();
        let count = count(&segments)?;
        if count == 0 {
            return Ok(Retained::default());
        }
        if !writer.noted {
            self.folder.note_dirty(&self.name).map_err(|error| self.full_or(error))?;
            writer.noted = true;
            writer.note_synced = false;
        }
        if count == segments.len() {
            self.roll(core, &mut writer, settings)?;
            segments = core.segments();
        }
        let kept = segments.get(count..).unwrap_or_default().to_vec();
        let gone = segments.get(..count).unwrap_or_default();
        self.let_go(core, &mut writer, kept);
        drop(writer);
        self.remove(gone)
    }

    /// How many segments from the oldest on may go.
    fn passed(
        &self,
        segments: &[Arc<Segment>],
        settings: &LogSettings,
        now_ms: i64,
        upto: i64,
    ) -> Result<usize, StorageError> {
        let start = self.log_start();
        let mut spare = -1;
        if settings.delete_by_retention && settings.retention_bytes >= 0 {
            let total: u64 = segments.iter().map(|segment| segment.size()).sum();
            spare = i64::try_from(total).unwrap_or(i64::MAX) - settings.retention_bytes;
        }
        let mut in_time = !(settings.delete_by_retention && settings.retention_ms >= 0);
        let mut count = 0;
        for (index, segment) in segments.iter().enumerate() {
            let size = segment.size();
            // An empty one behind which others lie holds nothing up: compaction may leave it, or a power cut.
            let last = index + 1 == segments.len();
            if (size == 0 && last) || segment.end() > upto {
                break;
            }
            if !in_time {
                let max = first_max(segments.get(index..).unwrap_or_default())?;
                in_time = max.is_none_or(|max| now_ms.saturating_sub(max) <= settings.retention_ms);
            }
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            let by_size = spare >= size;
            if in_time && !by_size && segment.end() > start {
                break;
            }
            spare -= size;
            count += 1;
        }
        Ok(count)
    }

    /// Takes the segments in front of `kept` out of what readers see.
    fn let_go(&self, core: &Core, writer: &mut Writer, kept: Vec<Arc<Segment>>) {
        let Some(first) = kept.first().map(|segment| segment.base) else { return };
        self.start.fetch_max(first, Ordering::AcqRel);
        if writer.durable.base < first {
            writer.durable = Boundary { base: first, position: 0, offset: first };
            self.durable.fetch_max(first, Ordering::AcqRel);
        }
        writer.unsynced.retain(|segment| segment.base >= first);
        writer.unindexed.retain(|segment| segment.base >= first);
        writer.epochs_dirty |= writer.epochs.cut_start(self.log_start());
        core.set_segments(kept);
    }

    /// Removes files; plans made before keep reading theirs. Oldest first, so that a crash leaves no gap.
    fn remove(&self, gone: &[Arc<Segment>]) -> Result<Retained, StorageError> {
        let disk = self.folder.disk();
        let mut done = Retained::default();
        for segment in gone {
            segment.set_dirty(false);
            segment.close();
            let path = segment.path("log");
            self.let_file_go(path.clone()).map_err(StorageError::io("removing", &path))?;
            for extension in ["index", "timeindex", "txnindex"] {
                // Missing is fine; anything else left over costs a little space and is never read.
                let _ = self.let_file_go(segment.path(extension));
            }
            done.segments += 1;
            done.bytes += segment.size();
        }
        // What was said to be gone must not come back with the next power cut.
        disk.sync_dir(&self.dir).map_err(StorageError::io("syncing", &self.dir))?;
        Ok(done)
    }

    /// Removes a file now, or gives it another name under which [`crate::storage::Folder::purge`] finds it in time.
    fn let_file_go(&self, path: PathBuf) -> std::io::Result<()> {
        let disk = self.folder.disk();
        let delay = self.settings().file_delete_delay_ms;
        if delay <= 0 {
            return disk.remove(&path);
        }
        let mut aside = path.clone().into_os_string();
        aside.push(DELETED);
        let aside = PathBuf::from(aside);
        disk.rename(&path, &aside)?;
        self.folder.doom(aside, self.folder.now_ms().saturating_add(delay));
        Ok(())
    }

    /// Moves the log start forward (DeleteRecords); durable when this returns. An offset below the log start changes
    /// nothing. Segments that lie before it go with [`Log::remove_below_start`] or the next [`Log::retain`].
    ///
    /// # Errors
    /// `OffsetOutOfRange` beyond the log end; `Failed`, `Full`, `Io`: the start is where it was.
    pub fn advance_start(&self, offset: i64) -> Result<(), StorageError> {
        let core = self.core()?;
        let mut writer = held(&core.writer);
        self.check_open(&writer)?;
        let (start, end) = (self.log_start(), self.log_end());
        if offset > end || offset < 0 {
            return Err(StorageError::OffsetOutOfRange { offset, range: start..end });
        }
        if offset <= start {
            return Ok(());
        }
        if !writer.noted {
            self.folder.note_dirty(&self.name).map_err(|error| self.full_or(error))?;
            writer.noted = true;
            writer.note_synced = false;
        }
        if !writer.note_synced {
            self.folder.sync_journal()?;
            writer.note_synced = true;
        }
        let path = self.dir.join(super::load::START);
        checkpoint::replace(self.folder.disk().as_ref(), &path, *b"strt", 1, &offset.to_be_bytes())
            .map_err(|error| self.full_or(error))?;
        self.start.store(offset, Ordering::Release);
        writer.epochs_dirty |= writer.epochs.cut_start(offset);
        Ok(())
    }

    /// Renames the partition's folder to `<name>.<topic id>-delete` and closes the log; [`crate::storage::Folder::sync`]
    /// makes it durable, [`crate::storage::Folder::sweep`] frees the space. Plans made before keep reading.
    ///
    /// # Errors
    /// `Io`: the log is closed, its folder still has its name.
    pub fn delete(&self) -> Result<(), StorageError> {
        let _loading = held(&self.loading);
        self.closed.store(true, Ordering::Release);
        if let Some(core) = self.core.get() {
            // An append or a sync under way ends first, and none begins: once the folder has moved away, a topic made
            // again under this name may have files at the same paths.
            let _flushing = held(&core.flushing);
            let mut writer = held(&core.writer);
            writer.failed.get_or_insert_with(|| "it was deleted".to_owned());
            core.segments().iter().for_each(|segment| segment.leave());
        }
        let id: String = self.topic_id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let aside = self.folder.path().join(format!("{}.{id}-delete", self.name));
        match self.folder.disk().rename(&self.dir, &aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StorageError::io("renaming", &self.dir)(error))
            }
            _ => {
                self.folder.remove_entry(&self.name);
                // A topic made again under this name begins at 0; a line that stays is not believed beyond its log.
                let _ = self.folder.forget_cleaned(&self.partition);
                Ok(())
            }
        }
    }
}

/// The largest timestamp of the first of these segments that has one. A segment without any (nothing but damage, or
/// one empty batch that a repair left) goes with the next one that has: it must not keep everything behind it.
fn first_max(segments: &[Arc<Segment>]) -> Result<Option<i64>, StorageError> {
    for segment in segments {
        let max = segment.stamps()?.max;
        if max >= 0 {
            return Ok(Some(max));
        }
    }
    Ok(None)
}
