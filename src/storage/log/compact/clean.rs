//! Writing segments anew: each batch is judged by the table of keys, goes into an output beside the old files, and whole
//! groups of segments are swapped at once; a group in which nothing changed is left as it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Compacted, MAX_INFLATED, commits};
use crate::record::{Batch, BatchHeader, Filter, Horizon, Left, Record, without_records};
use crate::storage::aborted::Entry as AbortedEntry;
use crate::storage::compact::map::OffsetMap;
use crate::storage::compact::output::{Finished, Limits, Output, discard};
use crate::storage::compact::swap::Swap;
use crate::storage::compact::transactions::{Aborted, Ends, Tracker};
use crate::storage::log::recovery::Window;
use crate::storage::log::{Core, Log};
use crate::storage::producers::LastBatch;
use crate::storage::segment::Segment;
use crate::storage::{LogSettings, StorageError, held};

/// Segments that become others together.
#[derive(Default)]
struct Group {
    old: Vec<Arc<Segment>>,
    new: Vec<Finished>,
    out: Option<Output>,
    changed: bool,
    removed: u64,
}

/// One pass over the segments.
pub(super) struct Cleaner<'l> {
    log: &'l Log,
    core: &'l Core,
    judge: Judge<'l>,
    limits: Limits,
    interval: u32,
    /// Entries of the segments' `.txnindex` files by their marker's offset; `None` where no segment has one.
    aborted_index: Option<HashMap<i64, AbortedEntry>>,
    group: Group,
    filter: Filter,
}

/// Decides which records stay.
struct Judge<'l> {
    map: &'l OffsetMap,
    upto: i64,
    tracker: Tracker<'l>,
    lasts: HashMap<i64, LastBatch>,
    /// What ends here or behind is the last there is: a batch has to stay, or readers would wait for ever.
    tail: i64,
    now_ms: i64,
    horizon_ms: i64,
    /// Whether something before is kept that could not be judged: a tombstone must go on hiding what it may hold.
    keeps_tombstones: bool,
}

/// What is to become of a batch.
enum Verdict {
    Keep,
    /// A marker whose transaction is gone: kept, with a delete horizon.
    KeepFor(Horizon),
    Filter,
    Drop,
}

impl Judge<'_> {
    /// What is to become of a batch, and whether it may be a marker that a `.txnindex` has an entry of, which stays then.
    fn batch(&mut self, batch: &Batch<'_>, header: &BatchHeader) -> (Verdict, bool) {
        if header.base_offset >= self.upto {
            return (Verdict::Keep, header.is_control());
        }
        if !batch.crc_ok() {
            // What is damaged stays, so its transaction goes on being seen, and its marker stays too.
            if !header.is_control() {
                self.tracker.is_aborted(header);
            }
            return (Verdict::Keep, false);
        }
        if header.count == 0 {
            // Of a transaction it still counts as seen.
            if !header.is_control() {
                self.tracker.is_aborted(header);
            }
            return (Verdict::Drop, false);
        }
        if !header.is_control() {
            return (if self.tracker.is_aborted(header) { Verdict::Drop } else { Verdict::Filter }, false);
        }
        let Some(commits) = commits(batch) else { return (Verdict::Keep, false) };
        match self.tracker.marker(header, commits) {
            Ends::Something => (Verdict::Keep, false),
            Ends::AbortedOne => (Verdict::Keep, true),
            Ends::Nothing => match header.delete_horizon() {
                Some(horizon) if horizon <= self.now_ms => (Verdict::Drop, false),
                Some(_) => (Verdict::Keep, false),
                None => (Verdict::KeepFor(Horizon { at_ms: self.horizon_ms, always: true }), false),
            },
        }
    }

    /// Whether the record is the last of its key, and no tombstone past its time.
    fn keeps(&self, header: &BatchHeader, record: &Record<'_>) -> bool {
        if record.offset >= self.upto {
            return true;
        }
        let Some(key) = record.key else { return false };
        let newest = self.map.get(key).is_none_or(|newest| record.offset >= newest);
        let stays = record.value.is_some()
            || self.keeps_tombstones
            || header.delete_horizon().is_none_or(|horizon| self.now_ms < horizon);
        newest && stays
    }

    /// Whether a batch stays though it has no records: a producer's last, by which its sequence is known, or the log's.
    fn stays_empty(&self, header: &BatchHeader) -> bool {
        let last = self.lasts.get(&header.producer_id).filter(|_| header.has_producer_id());
        let is_last = last.is_some_and(|last| match last.offset {
            Some(offset) => header.last_offset() == offset,
            None => header.is_control() && header.producer_epoch == last.epoch,
        });
        is_last || header.next_offset() >= self.tail
    }
}

impl<'l> Cleaner<'l> {
    pub(super) fn new(
        log: &'l Log,
        core: &'l Core,
        settings: &LogSettings,
        map: &'l OffsetMap,
        upto: i64,
        aborted: &'l [Aborted],
        now_ms: i64,
    ) -> Self {
        let judge = Judge {
            map,
            upto,
            tracker: Tracker::new(aborted),
            lasts: held(&core.writer).producers.lasts(),
            tail: log.durable_end(),
            now_ms,
            horizon_ms: now_ms.saturating_add(settings.delete_retention_ms),
            keeps_tombstones: false,
        };
        Self {
            log,
            core,
            judge,
            limits: Limits {
                segment_bytes: u64::from(settings.segment_bytes.min(i32::MAX as u32)),
                index_bytes: settings.segment_index_bytes,
            },
            interval: settings.index_interval_bytes,
            aborted_index: None,
            group: Group::default(),
            filter: Filter::new(),
        }
    }

    /// Cleans the segments that begin below where the table reaches; `false` when it was stopped.
    pub(super) fn run(
        &mut self,
        segments: &[Arc<Segment>],
        pace: &mut dyn FnMut(u64) -> bool,
        done: &mut Compacted,
    ) -> Result<bool, StorageError> {
        self.read_aborted_index(segments)?;
        let upto = self.judge.upto;
        for segment in segments.iter().take_while(|segment| segment.base < upto) {
            if self.core.damaged.iter().any(|damage| damage.base == segment.base) {
                // What is damaged stays as it is, for repair; the records in it that can be read were counted.
                if !self.end_group(done)? {
                    return Ok(false);
                }
                self.pass_over(segment)?;
                self.judge.keeps_tombstones = true;
                continue;
            }
            let last = segment.end() - 1;
            if self.group.out.as_ref().is_some_and(|out| !self.limits.takes(out, segment.size(), last))
                && !self.end_group(done)?
            {
                return Ok(false);
            }
            if self.group.out.is_none() {
                self.group.out =
                    Some(Output::create(self.log.folder.disk().as_ref(), &self.log.dir, segment.base)?);
            }
            self.group.old.push(Arc::clone(segment));
            if !self.segment(segment, pace)? {
                return Ok(false);
            }
        }
        self.end_group(done)
    }

    fn read_aborted_index(&mut self, segments: &[Arc<Segment>]) -> Result<(), StorageError> {
        for segment in segments {
            let entries = self.log.aborted_of(self.core, segment)?;
            if !entries.is_empty() {
                let index = self.aborted_index.get_or_insert_default();
                index.extend(entries.into_iter().map(|entry| (entry.last_offset, entry)));
            }
        }
        Ok(())
    }

    /// The tracker sees the batches of a segment that is not cleaned.
    fn pass_over(&mut self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        let (log, core) = (self.log, self.core);
        let file = segment.file()?;
        let mut window = Window::new(file.as_ref(), segment.size());
        log.each_batch(core, segment, file.as_ref(), 0, |located| {
            let bytes = window
                .bytes(located.position, located.header.size())
                .map_err(StorageError::io("reading", &segment.path("log")))?;
            if let Ok(batch) = Batch::exactly(bytes) {
                log.check_marker(&batch)?;
                let _ = self.judge.batch(&batch, &located.header);
            }
            Ok(true)
        })
    }

    fn segment(
        &mut self,
        segment: &Arc<Segment>,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, StorageError> {
        let (log, core) = (self.log, self.core);
        let file = segment.file()?;
        let mut window = Window::new(file.as_ref(), segment.size());
        let mut goes_on = true;
        log.each_batch(core, segment, file.as_ref(), 0, |located| {
            let bytes = window
                .bytes(located.position, located.header.size())
                .map_err(StorageError::io("reading", &segment.path("log")))?;
            let batch =
                Batch::exactly(bytes).map_err(|_| StorageError::BadBatch("its length or magic is wrong"))?;
            log.check_marker(&batch)?;
            self.batch(&batch)?;
            goes_on = pace(bytes.len() as u64) && !log.closed.load(Ordering::Acquire);
            Ok(goes_on)
        })?;
        Ok(goes_on)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<(), StorageError> {
        let header = batch.header();
        let (verdict, aborted) = self.judge.batch(batch, &header);
        let (judge, filter) = (&self.judge, &mut self.filter);
        let plain = Horizon { at_ms: judge.horizon_ms, always: false };
        // A batch whose records can not be read stays as it is.
        let mut unread = false;
        let left = match verdict {
            Verdict::Keep => Left::All,
            Verdict::Drop => Left::Nothing,
            Verdict::KeepFor(horizon) => {
                filter.filter(batch, horizon, MAX_INFLATED, |_| true).unwrap_or(Left::All)
            }
            Verdict::Filter => {
                let keeps = |record: &Record<'_>| judge.keeps(&header, record);
                filter.filter(batch, plain, MAX_INFLATED, keeps).unwrap_or_else(|_| {
                    unread = true;
                    Left::All
                })
            }
        };
        let empty;
        let bytes = match left {
            Left::All => batch.bytes(),
            Left::Some(bytes) => bytes,
            Left::Nothing if judge.stays_empty(&header) => {
                empty = without_records(batch);
                &empty
            }
            Left::Nothing => &[],
        };
        self.judge.keeps_tombstones |= unread;
        let group = &mut self.group;
        group.changed |= bytes != batch.bytes();
        let kept = bytes.get(57..).and_then(|from| from.first_chunk()).copied().map_or(0, i32::from_be_bytes);
        group.removed += u64::try_from(header.count.saturating_sub(kept)).unwrap_or(0);
        if bytes.is_empty() {
            return Ok(());
        }
        let disk = self.log.folder.disk().as_ref();
        if let Some(out) =
            group.out.take_if(|out| out.size() > 0 && !out.fits(&header, bytes.len() as u64, &self.limits))
        {
            // Records that kept their tombstones for a while can be more than they were.
            let base = out.base;
            match out.finish(disk, self.aborted_index.is_some()) {
                Ok(finished) => group.new.push(finished),
                Err(error) => {
                    discard(disk, &self.log.dir, base);
                    return Err(error);
                }
            }
            group.changed = true;
        }
        if group.out.is_none() {
            group.out = Some(Output::create(disk, &self.log.dir, header.base_offset)?);
        }
        let Some(out) = group.out.as_mut() else { return Ok(()) };
        if aborted
            && let Some(entry) =
                self.aborted_index.as_ref().and_then(|index| index.get(&header.base_offset)).copied()
        {
            out.push_aborted(entry);
        }
        out.push(bytes, &header, self.interval)
    }

    /// Finishes what the group's segments became and swaps it in; `false` where they are the log's no more.
    fn end_group(&mut self, done: &mut Compacted) -> Result<bool, StorageError> {
        let Some(out) = self.group.out.take() else { return Ok(true) };
        // Put back first: whatever fails here leaves its files for `abandon` to find.
        if !self.group.changed && self.group.old.len() == 1 {
            self.group.out = Some(out);
            self.abandon();
            return Ok(true);
        }
        let disk = self.log.folder.disk().as_ref();
        let base = out.base;
        match out.finish(disk, self.aborted_index.is_some()) {
            Ok(finished) => self.group.new.push(finished),
            Err(error) => {
                discard(disk, &self.log.dir, base);
                return Err(self.log.full_or(error));
            }
        }
        let Group { old, mut new, removed, .. } = std::mem::take(&mut self.group);
        let ends: Vec<i64> = new.iter().skip(1).map(|next| next.base).collect();
        let last = old.last().map_or(0, |last| last.end());
        for (made, end) in new.iter_mut().zip(ends.into_iter().chain([last])) {
            made.end = end;
        }
        let (before, after) =
            (old.iter().map(|old| old.size()).sum::<u64>(), new.iter().map(|new| new.size).sum::<u64>());
        if !self.log.swap(self.core, &old, new)? {
            return Ok(false);
        }
        done.before_bytes += before;
        done.after_bytes += after;
        done.removed += removed;
        Ok(true)
    }

    /// Removes what was written and not swapped in.
    pub(super) fn abandon(&mut self) {
        let Group { new, out, .. } = std::mem::take(&mut self.group);
        let bases = new.iter().map(|made| made.base).chain(out.iter().map(|out| out.base));
        for base in bases {
            discard(self.log.folder.disk().as_ref(), &self.log.dir, base);
        }
    }
}

impl Log {
    /// Puts new segments in the place of old ones: on disk so that a power cut finds all of it or nothing, in memory at
    /// once. Plans made before keep reading their files. `false`, and nothing done, where the old ones are the log's no more.
    fn swap(&self, core: &Core, old: &[Arc<Segment>], new: Vec<Finished>) -> Result<bool, StorageError> {
        let disk = self.folder.disk().as_ref();
        let bases: Vec<i64> = new.iter().map(|made| made.base).collect();
        let undo = || bases.iter().for_each(|&base| discard(disk, &self.dir, base));
        // Files change by path below: no segment leaves, and the log is not deleted, meanwhile.
        let _stays = held(&self.loading);
        if self.closed.load(Ordering::Acquire) {
            undo();
            return Err(StorageError::Closed { log: self.name.clone() });
        }
        let before = core.segments();
        let first =
            before.iter().position(|segment| old.first().is_some_and(|old| Arc::ptr_eq(segment, old)));
        let range = first.map(|first| first..first + old.len());
        let same = range
            .clone()
            .and_then(|range| before.get(range))
            .is_some_and(|now| now.iter().zip(old).all(|(now, old)| Arc::ptr_eq(now, old)));
        let Some(range) = range.filter(|_| same) else {
            // Retention was faster.
            undo();
            return Ok(false);
        };
        let swap = Swap {
            old: old.iter().map(|old| old.base).collect(),
            new: new.iter().map(|made| (made.base, made.size)).collect(),
        };
        let prepared = swap.prepare(disk, &self.dir).map_err(|error| {
            undo();
            self.full_or(error)
        })?;
        if let Err(error) = swap.commit(disk, &self.dir, &prepared) {
            return Err(self.fail_swap(core, &error));
        }
        let fresh: Vec<_> =
            new.into_iter().map(|made| Segment::compacted(self.folder.files(), &self.dir, made)).collect();
        {
            let mut writer = held(&core.writer);
            let mut segments = core.segments().to_vec();
            segments.splice(range, fresh.iter().cloned());
            writer.unsynced.retain(|segment| !old.iter().any(|old| Arc::ptr_eq(old, segment)));
            writer.unindexed.retain(|segment| !old.iter().any(|old| Arc::ptr_eq(old, segment)));
            core.set_segments(segments);
        }
        // Whoever still has the old list and no file open asks for the new one.
        old.iter().for_each(|segment| segment.leave());
        if let Err(error) = swap.perform(disk, &self.dir) {
            return Err(self.fail_swap(core, &error));
        }
        fresh.iter().for_each(|segment| segment.set_dirty(false));
        Ok(true)
    }

    /// It is not known which files the disk has under which name: the next start finds out.
    fn fail_swap(&self, core: &Core, error: &StorageError) -> StorageError {
        let error = std::io::Error::other(error.to_string());
        self.latch(&mut held(&core.writer), &error)
    }
}
