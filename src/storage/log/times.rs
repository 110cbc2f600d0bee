//! Lookup by time: the time index says where to begin, headers which batch, the records which one; read-only.

use std::sync::Arc;

use super::{Core, Log, TimedOffset};
use crate::record::{Batch, Decompressor};
use crate::storage::batches::{Located, Step, Walk};
use crate::storage::segment::Segment;
use crate::storage::{StorageError, disk, index};

/// Most bytes that a batch may inflate to when a record is looked for in it.
const MAX_INFLATED: usize = 1 << 30;

impl Log {
    /// The first record at or after `timestamp` (ms) below `upto`; `None` when there is none.
    ///
    /// # Errors
    /// `Io`. Damaged batches are passed over.
    pub fn lookup_time(&self, timestamp: i64, upto: i64) -> Result<Option<TimedOffset>, StorageError> {
        let core = self.core()?;
        core.on_segments(|segments| self.lookup_in(core, segments, timestamp, upto))
    }

    fn lookup_in(
        &self,
        core: &Core,
        segments: &[Arc<Segment>],
        timestamp: i64,
        upto: i64,
    ) -> Result<Option<TimedOffset>, StorageError> {
        let (start, upto) = (self.log_start(), upto.min(self.log_end()));
        for segment in segments {
            if segment.end() <= start || segment.size() == 0 || segment.stamps()?.max < timestamp {
                continue;
            }
            if segment.base >= upto {
                break;
            }
            let below = segment.with_indexes(|_, times| index::time_below(times, timestamp))?;
            let from = below.map_or(segment.base, |entry| segment.base + i64::from(entry.relative) + 1);
            let found = self.first_batch(core, segment, from.max(start), |batch| {
                if batch.header.max_timestamp < timestamp || batch.header.base_offset >= upto {
                    return Ok(None);
                }
                self.record_in(segment, batch, |record| {
                    record.timestamp >= timestamp && record.offset >= start && record.offset < upto
                })
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp (the first of them); `None` in an empty log, where no record has a
    /// timestamp, and where that record lies at or behind `upto` (Kafka's answer too).
    ///
    /// # Errors
    /// `Io`, `Damaged`.
    pub fn max_timestamp(&self, upto: i64) -> Result<Option<TimedOffset>, StorageError> {
        let core = self.core()?;
        core.on_segments(|segments| self.max_timestamp_in(core, segments, upto))
    }

    fn max_timestamp_in(
        &self,
        core: &Core,
        segments: &[Arc<Segment>],
        upto: i64,
    ) -> Result<Option<TimedOffset>, StorageError> {
        let start = self.log_start();
        let mut best: Option<(Arc<Segment>, super::super::segment::Stamps)> = None;
        for segment in segments.iter().filter(|segment| segment.end() > start && segment.size() > 0) {
            let stamps = segment.stamps()?;
            if stamps.max >= 0 && best.as_ref().is_none_or(|(_, best)| stamps.max > best.max) {
                best = Some((Arc::clone(segment), stamps));
            }
        }
        let Some((segment, stamps)) = best else { return Ok(None) };
        let Some(batch) = self.locate(core, &segment, stamps.max_offset)? else { return Ok(None) };
        let latest =
            |record: &crate::record::Record<'_>| record.timestamp == stamps.max && record.offset >= start;
        let found = self.record_in(&segment, &batch, latest)?;
        Ok(found.filter(|found| found.offset < upto))
    }

    /// Asks `look` about each batch from `from` on until it has an answer.
    fn first_batch<T>(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        from: i64,
        mut look: impl FnMut(&Located) -> Result<Option<T>, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let mut from = from;
        loop {
            let first = match self.locate(core, segment, from) {
                Err(StorageError::Damaged { range, .. }) if range.end < segment.end() => {
                    from = range.end;
                    continue;
                }
                Err(StorageError::Damaged { .. }) => return Ok(None),
                done => done?,
            };
            let Some(first) = first else { return Ok(None) };
            let file = segment.file()?;
            let mut walk = Walk::new(file.as_ref(), first.position, segment.size());
            let mut reached = from;
            loop {
                match walk.step().map_err(StorageError::io("reading", &segment.path("log")))? {
                    Step::Batch(batch) => {
                        // A header can look well where the batch behind it is damaged.
                        if let Some(damage) = core.damage_at(segment.base, batch.position) {
                            reached = damage.offsets.end;
                            break;
                        }
                        if let Some(answer) = look(&batch)? {
                            return Ok(Some(answer));
                        }
                        reached = batch.header.next_offset();
                    }
                    Step::End => return Ok(None),
                    Step::Bad => break,
                }
            }
            if reached <= from {
                return Ok(None);
            }
            from = reached;
        }
    }

    fn record_in(
        &self,
        segment: &Arc<Segment>,
        located: &Located,
        wanted: impl Fn(&crate::record::Record<'_>) -> bool,
    ) -> Result<Option<TimedOffset>, StorageError> {
        let mut bytes = vec![0; located.header.size()];
        disk::read_exact_at(segment.file()?.as_ref(), &mut bytes, located.position)
            .map_err(StorageError::io("reading", &segment.path("log")))?;
        let Ok(batch) = Batch::exactly(&bytes) else { return Ok(None) };
        let mut inflate = Decompressor::new();
        // A batch that can not be read any more is passed over here; the consumer that fetches it hears of it.
        let Ok(records) = inflate.records(&batch, MAX_INFLATED) else { return Ok(None) };
        let found = records.map_while(Result::ok).find(|record| wanted(record));
        let leader_epoch = located.header.leader_epoch;
        Ok(found.map(|record| TimedOffset {
            timestamp: record.timestamp,
            offset: record.offset,
            leader_epoch,
        }))
    }
}
