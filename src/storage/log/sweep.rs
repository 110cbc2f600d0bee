//! Reading a whole log for what the broker itself believes: every batch is checked, CRC and order included, before it is
//! given; it changes nothing.

use std::sync::Arc;

use super::recovery::Window;
use super::{Core, Log};
use crate::record::Batch;
use crate::storage::StorageError;
use crate::storage::segment::Segment;

/// What a sweep meets.
#[derive(Debug)]
pub enum Swept<'b> {
    /// A whole batch with a good CRC at the offset that is due.
    Batch(Batch<'b>),
    /// Bytes that are no such batch; the offsets are those that lie between the batches around them.
    Bad {
        /// The first offset that can not be read.
        from: i64,
        /// Where reading goes on; above `from`.
        to: i64,
    },
}

impl Log {
    /// Gives `each` every batch from the log start to the log end, in order, and what lies between them that is none,
    /// until it says `false`. Where a batch's place can not be believed (its length, its offset), the next good one is
    /// looked for as recovery does.
    ///
    /// # Errors
    /// Those of loading; `Io`.
    pub fn sweep(&self, each: &mut dyn FnMut(Swept<'_>) -> bool) -> Result<(), StorageError> {
        let core = self.core()?;
        let mut done = self.log_start();
        core.on_segments(|segments| {
            let compacted = self.settings().compact;
            let first = segments.partition_point(|segment| segment.base <= done).saturating_sub(1);
            for (at, segment) in segments.iter().enumerate().skip(first) {
                // Size before end: whoever sees a size sees an end at or behind it.
                let size = segment.size();
                let next = segments.get(at + 1).map_or_else(|| self.log_end(), |next| next.base);
                // Compaction leaves gaps between segments, nothing else does.
                if segment.base > done && !compacted {
                    let from = std::mem::replace(&mut done, segment.base);
                    if !each(Swept::Bad { from, to: segment.base }) {
                        break;
                    }
                }
                if !self.sweep_segment(core, segment, size, next, &mut done, each)? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// One segment, up to `next`; what lies below `done` was given. Whether to go on.
    fn sweep_segment(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        size: u64,
        next: i64,
        done: &mut i64,
        each: &mut dyn FnMut(Swept<'_>) -> bool,
    ) -> Result<bool, StorageError> {
        if size == 0 {
            return Ok(true);
        }
        let failed = |error| StorageError::io("reading", &segment.path("log"))(error);
        let file = segment.file()?;
        let mut window = Window::new(file.as_ref(), size);
        let (mut at, mut expected) = (0, segment.base);
        while at < size {
            let due = match core.damage_at(segment.base, at) {
                Some(_) => None,
                None => window.due(at, segment.base, expected, Some(next)).map_err(failed)?,
            };
            if let Some(header) = due {
                let bytes = window.bytes(at, header.size()).map_err(failed)?;
                at += header.size() as u64;
                expected = header.next_offset();
                if expected <= *done {
                    continue;
                }
                *done = expected;
                if let Ok(batch) = Batch::exactly(bytes)
                    && !each(Swept::Batch(batch))
                {
                    return Ok(false);
                }
                continue;
            }
            let (behind, to) = match core.damage_at(segment.base, at) {
                Some(damage) => (damage.position.end, damage.offsets.end),
                None => {
                    let good = window.next_good(at, segment.base, expected).map_err(failed)?;
                    good.map_or((size, next), |good| (good.position, good.header.base_offset))
                }
            };
            let from = expected;
            at = behind.max(at + 1);
            expected = to.min(next).max(expected);
            if to > *done || from >= *done {
                *done = expected.max(*done);
                // Bytes that stood for no offset are told of too: nobody knows what they were.
                if !each(Swept::Bad { from, to: to.max(from.saturating_add(1)) }) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
