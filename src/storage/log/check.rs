//! Reading for others only what is as it was written: what was neither written nor checked of late is checked, checksums
//! and offsets, before it is planned; it never looks further than the plan and, behind damage, the next batch that the
//! index knows.
//!
//! A batch's own base offset and length are not under its checksum. They are held against the index and against the
//! batches around it, so that a flipped bit in one does not hide a batch or move a reader.

use std::sync::Arc;

use super::plan::{Bounds, ReadPlan};
use super::recovery::Window;
use super::{Core, Log};
use crate::storage::StorageError;
use crate::storage::batches::{Located, Step, Walk};
use crate::storage::disk::DiskFile;
use crate::storage::index::{self, OffsetEntry};
use crate::storage::segment::Segment;

/// Most bytes that one plan checks, a single batch aside: a thread that serves others too does it.
const MOST_CHECKED: u64 = 4 << 20;
/// What is read at once to find a batch, in bytes: a few intervals of the index.
const NEAR: u64 = 16 << 10;
/// How many entries of the index are tried, back from the one that is meant, before the segment is walked from its start.
const TRIES: usize = 16;

impl Log {
    /// Plans a read in one segment (see [`Log::plan`]); `None` when it ends before `from`.
    pub(super) fn plan_in(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        from: i64,
        bounds: Bounds,
    ) -> Result<Option<ReadPlan>, StorageError> {
        let size = segment.size();
        let entry = segment.with_indexes(|offsets, _| index::floor(offsets, from - segment.base))?;
        let start = entry.map_or(0, |entry| u64::from(entry.position));
        let quick = self.locate(core, segment, from);
        let walked =
            quick.as_ref().ok().and_then(|found| found.as_ref()).map_or(size, |found| found.position);
        if segment.is_checked(&(start..walked.max(start))) {
            let Some(found) = quick? else { return Ok(None) };
            let plan = self.plan_within(core, segment, &found, bounds)?;
            // That it leaves nothing may be what a bad head says of its offsets or its length.
            let known =
                segment.is_checked(&(found.position..found.end().max(plan.position + plan.len as u64)));
            if known {
                return Ok(Some(plan));
            }
            if plan.len > 0
                && let Some(due) = due_at(segment, entry, &found)?
                && let Some(plan) = check(segment, plan, due)?
            {
                return Ok(Some(plan));
            }
        }
        let Some(found) = self.locate_checked(core, segment, from)? else { return Ok(None) };
        let plan = self.plan_within(core, segment, &found, bounds)?;
        // It was good just now.
        let checked = check(segment, plan, found.header.base_offset)?;
        checked.map_or_else(|| Err(self.damaged(from..from + 1)), |plan| Ok(Some(plan)))
    }

    /// As [`Log::locate`], believing no batch on the way that is not as it was written.
    pub(super) fn locate_checked(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        from: i64,
    ) -> Result<Option<Located>, StorageError> {
        // Size before end: whoever sees a size sees an end at or behind it.
        let (size, end) = (segment.size(), segment.end());
        let file = segment.file()?;
        let failed = |error| StorageError::io("reading", &segment.path("log"))(error);
        let mut window = Window::over(file.as_ref(), size, NEAR);
        let (mut at, mut expected) = begin(segment, &mut window, from)?;
        let mut good_from = at;
        while at < size {
            if let Some(damage) = core.damage_at(segment.base, at) {
                if damage.offsets.end > from {
                    return Err(self.damaged(damage.offsets.clone()));
                }
                (at, expected) = (damage.position.end.max(at + 1), damage.offsets.end.max(expected));
                good_from = at;
                continue;
            }
            if let Some(header) = window.due(at, segment.base, expected, Some(end)).map_err(failed)? {
                if header.last_offset() >= from {
                    segment.set_checked(good_from..at + header.size() as u64);
                    return Ok(Some(Located { position: at, header }));
                }
                at += header.size() as u64;
                expected = header.next_offset();
                continue;
            }
            match self.good_behind(segment, file.as_ref(), at, size, expected)? {
                Behind::Good(next) if next.header.base_offset <= from => {
                    (at, expected) = (next.position, next.header.base_offset);
                }
                Behind::Good(next) => return Err(self.damaged(expected.min(from)..next.header.base_offset)),
                Behind::From(position) => at = position,
                Behind::Nothing => return Err(self.damaged(expected.min(from)..end.max(from + 1))),
            }
            good_from = at;
        }
        Ok(None)
    }

    /// What follows a bad batch: looked for byte by byte up to the next batch that the index knows, no further.
    fn good_behind(
        &self,
        segment: &Arc<Segment>,
        file: &dyn DiskFile,
        bad: u64,
        size: u64,
        expected: i64,
    ) -> Result<Behind, StorageError> {
        let indexed = self.indexed_behind(segment, bad)?;
        let limit = indexed.map_or(size, |batch| batch.end().min(size));
        let failed = |error| StorageError::io("reading", &segment.path("log"))(error);
        let mut window = Window::over(file, limit, limit - bad);
        let good = window.next_good(bad, segment.base, expected).map_err(failed)?;
        Ok(match (good, indexed) {
            (Some(good), _) => Behind::Good(good),
            (None, Some(indexed)) => Behind::From(indexed.position),
            (None, None) => Behind::Nothing,
        })
    }
}

/// What lies behind a bad batch.
enum Behind {
    Good(Located),
    /// No good batch before this position; above the bad one's.
    From(u64),
    Nothing,
}

/// Where a checked walk to `from` begins, and the offset due there: at an entry of the index whose batch is the one it
/// says, else at the segment's start.
fn begin(segment: &Arc<Segment>, window: &mut Window<'_>, from: i64) -> Result<(u64, i64), StorageError> {
    let mut relative = from - segment.base;
    for _ in 0..TRIES {
        let Some(entry) = segment.with_indexes(|offsets, _| index::floor(offsets, relative))? else { break };
        let position = u64::from(entry.position);
        let header = window
            .good(position, segment.base, segment.base)
            .map_err(StorageError::io("reading", &segment.path("log")))?;
        if let Some(header) = header
            && entry.is_of(segment.base, &header)
        {
            return Ok((position, header.base_offset));
        }
        relative = i64::from(entry.relative) - 1;
    }
    Ok((0, segment.base))
}

/// The offset due at `found`; what lies before it from the entry of the index on (from the segment's start without one) is
/// known. `None` where the index says otherwise.
fn due_at(
    segment: &Arc<Segment>,
    entry: Option<OffsetEntry>,
    found: &Located,
) -> Result<Option<i64>, StorageError> {
    let start = entry.map_or(0, |entry| u64::from(entry.position));
    if found.position == start {
        return Ok(match entry {
            Some(entry) => entry.is_of(segment.base, &found.header).then_some(found.header.base_offset),
            None => Some(segment.base),
        });
    }
    let file = segment.file()?;
    let mut walk = Walk::new(file.as_ref(), start, found.position);
    let mut due = None;
    while let Step::Batch(batch) = walk.step().map_err(StorageError::io("reading", &segment.path("log")))? {
        due = Some(batch.header.next_offset());
    }
    Ok(due)
}

/// The plan as far as its batches are as they were written, and at most [`MOST_CHECKED`] of it where that was not known;
/// `None` where its first batch, at which the offset `due` is due, is not.
fn check(segment: &Arc<Segment>, plan: ReadPlan, due: i64) -> Result<Option<ReadPlan>, StorageError> {
    let planned = plan.position..plan.position + plan.len as u64;
    if segment.is_checked(&planned) {
        return Ok(Some(plan));
    }
    let (size, end) = (segment.size().max(planned.end), segment.end());
    let mut window = Window::over(plan.file.as_ref(), size, (plan.len as u64).min(MOST_CHECKED));
    let (mut at, mut expected) = (planned.start, due);
    while at < planned.end && (at == planned.start || at - planned.start < MOST_CHECKED) {
        let due = window
            .due(at, segment.base, expected, Some(end))
            .map_err(StorageError::io("reading", &segment.path("log")))?;
        let Some(header) = due else { break };
        at += header.size() as u64;
        expected = header.next_offset();
    }
    if at == planned.start {
        return Ok(None);
    }
    segment.set_checked(planned.start..at);
    if at >= planned.end {
        return Ok(Some(ReadPlan { end: plan.end.max(expected), ..plan }));
    }
    Ok(Some(ReadPlan { len: usize::try_from(at - planned.start).unwrap_or(plan.len), end: expected, ..plan }))
}
