//! Reading a partition: plans of file ranges for consumers, and whole replays for the broker's own state; a plan never
//! reaches beyond the high watermark.

use super::Partition;
use crate::broker::BrokerError;
use crate::record::{Batch, Decompressor, Record};
use crate::storage::disk::read_exact_at;
use crate::storage::log::TimedOffset;
use crate::storage::{Log, ReadPlan, StorageError};

/// How much a replay reads at a time, in bytes; a larger batch is read whole.
const REPLAY_BYTES: usize = 1 << 20;
/// Most bytes that a batch of an internal topic may inflate to.
const REPLAY_INFLATED: usize = 256 << 20;

impl Partition {
    /// Plans what a consumer at `from` gets: whole batches of at most `max_bytes`, the first one whole whatever its
    /// size with `at_least_one`; empty at the high watermark.
    ///
    /// # Errors
    /// `OffsetOutOfRange` below the log start and above the log end; damage; a failing disk.
    pub fn plan(
        &self,
        from: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Option<ReadPlan>, StorageError> {
        let marks = self.marks();
        if from < marks.log_start || from > marks.log_end.0 {
            let range = marks.log_start..marks.log_end.0;
            return Err(StorageError::OffsetOutOfRange { offset: from, range });
        }
        if from >= marks.high_watermark || (max_bytes == 0 && !at_least_one) {
            return Ok(None);
        }
        let plan = self.log.plan(from, max_bytes, marks.high_watermark, at_least_one)?;
        Ok((plan.len > 0).then_some(plan))
    }

    /// The first visible record at or after `timestamp` ms.
    ///
    /// # Errors
    /// A failing disk.
    pub fn lookup_time(&self, timestamp: i64) -> Result<Option<TimedOffset>, StorageError> {
        self.log.lookup_time(timestamp, self.high_watermark())
    }

    /// The visible record with the largest timestamp.
    ///
    /// # Errors
    /// A failing disk.
    pub fn max_timestamp(&self) -> Result<Option<TimedOffset>, StorageError> {
        self.log.max_timestamp(self.high_watermark())
    }

    /// Reads every record from the log's start to its end, in order, damaged ranges aside; control batches are left
    /// out. Blocking.
    ///
    /// # Errors
    /// A failing disk.
    pub fn replay(&self, each: &mut dyn FnMut(Record<'_>)) -> Result<(), BrokerError> {
        replay(&self.log, true, each)
    }
}

/// Reads every record of `log`, in order, control batches aside. Damaged ranges are passed over with `lenient`, else
/// an error.
pub(in crate::broker) fn replay(
    log: &Log,
    lenient: bool,
    each: &mut dyn FnMut(Record<'_>),
) -> Result<(), BrokerError> {
    let mut inflate = Decompressor::new();
    let mut bytes = Vec::new();
    let mut from = log.log_start();
    let end = log.log_end();
    while from < end {
        let plan = match log.plan(from, REPLAY_BYTES, end, true) {
            Ok(plan) => plan,
            Err(StorageError::Damaged { range, .. }) if lenient && range.end > from => {
                tracing::error!(partition = %log.partition(), from = range.start, to = range.end,
                    "damaged records are left out");
                from = range.end;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if plan.len == 0 {
            break;
        }
        bytes.resize(plan.len, 0);
        read_exact_at(&*plan.file, &mut bytes, plan.position).map_err(|source| StorageError::Io {
            doing: "reading",
            path: log.partition().to_string().into(),
            source,
        })?;
        let next = replay_bytes(&bytes, from, &mut inflate, each)?;
        if next <= from {
            break;
        }
        from = next;
    }
    Ok(())
}

/// Gives the records of whole batches from offset `from` on; answers the offset behind the last batch.
fn replay_bytes(
    mut bytes: &[u8],
    from: i64,
    inflate: &mut Decompressor,
    each: &mut dyn FnMut(Record<'_>),
) -> Result<i64, BrokerError> {
    let mut next = from;
    while let Some((batch, rest)) = Batch::split_first(bytes)? {
        if !batch.is_control() {
            for record in inflate.records(&batch, REPLAY_INFLATED)? {
                let record = record?;
                if record.offset >= from {
                    each(record);
                }
            }
        }
        next = batch.last_offset().saturating_add(1);
        bytes = rest;
    }
    Ok(next)
}
