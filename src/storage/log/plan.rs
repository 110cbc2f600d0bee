//! Planning a read: which bytes of which file hold whole batches; it takes no append lock.
//!
//! The cost of a plan: a binary search in the index for each end, then header reads over at most one index interval
//! (4 KiB of log in one read) at each. A plan that reaches the segment's end below `upto` needs no second search. What was
//! neither written nor checked since the last [`Log::forget_checked`] is read too, and checked (`check.rs`).

use std::io;
use std::sync::Arc;

use super::{Core, Log};
use crate::record::empty_batch;
use crate::storage::batches::{Located, Step, Walk};
use crate::storage::disk::{self, MemoryFile, NoFile};
use crate::storage::index::{self, OffsetEntry};
use crate::storage::segment::Segment;
use crate::storage::{DiskFile, StorageError};

/// A range of a segment's file that holds whole batches; stays readable when the segment is rolled or deleted.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// The segment's file.
    pub file: Arc<dyn DiskFile>,
    /// Where the first batch starts, in bytes.
    pub position: u64,
    /// How many bytes of whole batches; 0 when there is nothing to read (yet).
    pub len: usize,
    /// No planned batch reaches beyond this offset.
    pub end: i64,
}

/// What bounds a plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_bytes: usize,
    /// An end offset that no batch of it reaches beyond.
    pub(super) upto: i64,
    /// Whether the first batch may be larger than `max_bytes`.
    pub(super) at_least_one: bool,
}

impl ReadPlan {
    fn empty() -> Self {
        Self { file: Arc::new(NoFile), position: 0, len: 0, end: 0 }
    }

    fn of_bytes(bytes: Vec<u8>, end: i64) -> Self {
        let len = bytes.len();
        Self { file: Arc::new(MemoryFile(bytes)), position: 0, len, end }
    }

    /// Reads the planned bytes into `into`, replacing what it held.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(&self, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        into.resize(self.len, 0);
        disk::read_exact_at(self.file.as_ref(), into, self.position)
    }
}

impl Log {
    /// Plans a read from the batch that holds `from`: whole batches, at most `max_bytes` (the first one whole whatever its
    /// size with `at_least_one`), none that reaches `upto` (an end offset: high watermark, last stable offset, log end).
    /// Never crosses from one segment to the next.
    ///
    /// # Errors
    /// `OffsetOutOfRange`; `Damaged` where there is no batch, or one that is not as it was written; `Io`.
    pub fn plan(
        &self,
        from: i64,
        max_bytes: usize,
        upto: i64,
        at_least_one: bool,
    ) -> Result<ReadPlan, StorageError> {
        if self.readable(from, upto)?.is_none() {
            return Ok(ReadPlan::empty());
        }
        let core = self.core()?;
        core.on_segments(|segments| {
            // Loading can move the ends, and so can whoever changes the segments.
            let Some(upto) = self.readable(from, upto)? else { return Ok(ReadPlan::empty()) };
            let first = segments.partition_point(|segment| segment.base <= from).saturating_sub(1);
            for segment in segments.iter().skip(first) {
                let bounds = Bounds { max_bytes, upto, at_least_one };
                if let Some(plan) = self.plan_in(core, segment, from, bounds)? {
                    return Ok(plan);
                }
            }
            // Nothing is left from there on: readers are told so, or they would wait for it until something is written.
            let end = upto.min(from.saturating_add(i64::from(i32::MAX)));
            let gone = empty_batch(&(from..end), -1);
            match gone {
                Some(batch) if self.log_end() >= upto => Ok(ReadPlan::of_bytes(batch, end)),
                _ => Ok(ReadPlan::empty()),
            }
        })
    }

    /// Up to where a reader at `from` may read now; `None` where that is nothing.
    fn readable(&self, from: i64, upto: i64) -> Result<Option<i64>, StorageError> {
        let end = self.log_end();
        let start = self.log_start();
        if from < start || from > end {
            return Err(StorageError::OffsetOutOfRange { offset: from, range: start..end });
        }
        let upto = upto.min(end);
        Ok((from < upto).then_some(upto))
    }

    /// A plan from the batch `first` on; empty where the bounds leave nothing.
    pub(super) fn plan_within(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        first: &Located,
        Bounds { max_bytes, upto, at_least_one }: Bounds,
    ) -> Result<ReadPlan, StorageError> {
        if first.header.next_offset() > upto {
            return Ok(ReadPlan::empty());
        }
        let too_large = first.header.size() > max_bytes;
        if too_large && !at_least_one {
            return Ok(ReadPlan::empty());
        }
        let file = segment.file()?;
        let (position, end) = if too_large {
            (first.end(), first.header.next_offset())
        } else {
            self.end_within(core, segment, file.as_ref(), first, max_bytes as u64, upto)?
        };
        let len = usize::try_from(position - first.position).unwrap_or(usize::MAX);
        Ok(ReadPlan { file, position: first.position, len, end })
    }

    /// The batch of `segment` that holds `from`, or the first one behind it; `None` when the segment ends before.
    pub(super) fn locate(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        from: i64,
    ) -> Result<Option<Located>, StorageError> {
        let size = segment.size();
        if size == 0 {
            return Ok(None);
        }
        let entry = segment.with_indexes(|offsets, _| index::floor(offsets, from - segment.base))?;
        let mut at = entry.map_or(0, |entry| u64::from(entry.position));
        let mut indexed = entry;
        for damage in core.damaged.iter().filter(|damage| damage.base == segment.base) {
            if damage.offsets.contains(&from) {
                return Err(self.damaged(damage.offsets.clone()));
            }
            if damage.offsets.end <= from && damage.position.end > at {
                at = damage.position.end;
                indexed = None;
            }
        }
        let file = segment.file()?;
        let mut walk = Walk::new(file.as_ref(), at, size);
        loop {
            let step = walk.step().map_err(StorageError::io("reading", &segment.path("log")))?;
            // Where the index leads there is the batch that it says, or one of the two has rotted.
            if let Some(entry) = indexed.take()
                && !leads_to(&entry, segment, &step)
            {
                return self.locate_checked(core, segment, from);
            }
            match step {
                Step::Batch(batch) if batch.header.last_offset() >= from => {
                    let damage = core.damage_at(segment.base, batch.position);
                    return damage
                        .map_or(Ok(Some(batch)), |damage| Err(self.damaged(damage.offsets.clone())));
                }
                Step::Batch(_) => {}
                Step::End => return Ok(None),
                Step::Bad => {
                    // Known damage says exactly where it ends, also to who comes from an offset that is gone before it.
                    if let Some(damage) = core.damage_at(segment.base, walk.position()) {
                        return Err(self.damaged(from..damage.offsets.end.max(from + 1)));
                    }
                    let next = self.next_readable(segment, walk.position())?;
                    return Err(self.damaged(from..next.max(from + 1)));
                }
            }
        }
    }

    /// Where the planned bytes end: behind the last whole batch within `max_bytes` of the first one and below `upto`. With
    /// an offset that no batch of them reaches beyond.
    fn end_within(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        file: &dyn DiskFile,
        first: &Located,
        max_bytes: u64,
        upto: i64,
    ) -> Result<(u64, i64), StorageError> {
        let limit = first.position.saturating_add(max_bytes);
        // Size before end: whoever sees a size sees an end at or behind it.
        let mut size = segment.size();
        let end = segment.end();
        for damage in core.damaged.iter().filter(|damage| damage.base == segment.base) {
            if damage.position.start >= first.end() {
                size = size.min(damage.position.start);
            }
        }
        if size <= limit && end <= upto {
            return Ok((size, end));
        }
        let entry =
            segment.with_indexes(|offsets, _| index::last_within(offsets, upto - segment.base, limit))?;
        // An entry that leads to another batch than it says leads nowhere.
        let entry = entry.filter(|entry| {
            let at = u64::from(entry.position);
            let step = Walk::new(file, at, size).step();
            at > first.position && step.is_ok_and(|step| leads_to(entry, segment, &step))
        });
        let from = entry.map_or(first.position, |entry| u64::from(entry.position));
        let mut walk = Walk::new(file, from, size);
        let mut planned = first.end().max(from);
        // What the heads behind the plan say of their offsets is not believed where it contradicts these.
        let mut reached = first.header.next_offset();
        if let Some(entry) = entry {
            reached = reached.max(segment.base + i64::from(entry.relative) + 1);
        }
        loop {
            match walk.step().map_err(StorageError::io("reading", &segment.path("log")))? {
                Step::Batch(batch) if batch.end() <= limit && batch.header.next_offset() <= upto => {
                    planned = planned.max(batch.end());
                    reached = reached.max(batch.header.next_offset());
                }
                Step::Batch(batch) => {
                    return Ok((planned, upto.min(batch.header.base_offset.max(reached))));
                }
                Step::End | Step::Bad => return Ok((planned, upto)),
            }
        }
    }

    /// From now on readers check again what is there: what rots meanwhile is not sent for ever.
    pub fn forget_checked(&self) {
        if let Some(core) = self.core.get() {
            core.segments().iter().for_each(|segment| segment.forget_checked());
        }
    }

    /// The first offset behind damage at `position` from which reading can go on.
    fn next_readable(&self, segment: &Arc<Segment>, position: u64) -> Result<i64, StorageError> {
        let next = self.indexed_behind(segment, position)?;
        Ok(next.map_or(segment.end(), |batch| batch.header.base_offset))
    }

    /// The first batch behind `position` that the index knows and that can be one.
    pub(super) fn indexed_behind(
        &self,
        segment: &Arc<Segment>,
        position: u64,
    ) -> Result<Option<Located>, StorageError> {
        let mut position = position;
        let file = segment.file()?;
        while let Some(entry) = segment.with_indexes(|offsets, _| index::first_behind(offsets, position))? {
            position = u64::from(entry.position);
            let mut walk = Walk::new(file.as_ref(), position, segment.size());
            if let Ok(Step::Batch(batch)) = walk.step() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    pub(super) fn damaged(&self, range: std::ops::Range<i64>) -> StorageError {
        StorageError::Damaged { log: self.name.clone(), range }
    }
}

/// Whether what lies where an entry of the index leads is the batch that it says.
fn leads_to(entry: &OffsetEntry, segment: &Segment, step: &Step) -> bool {
    matches!(step, Step::Batch(batch) if entry.is_of(segment.base, &batch.header))
}
