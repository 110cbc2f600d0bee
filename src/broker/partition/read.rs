//! Reading a partition: plans of file ranges for consumers, and whole replays for the broker's own state; a plan never
//! reaches beyond the high watermark.

use super::Partition;
use crate::broker::BrokerError;
use crate::broker::marks::Marks;
use crate::record::{Batch, ControlMarker, Decompressor, Record};
use crate::storage::disk::read_exact_at;
use crate::storage::log::TimedOffset;
use crate::storage::{AbortedTxn, Log, ReadPlan, StorageError};

/// How much a replay reads at a time, in bytes; a larger batch is read whole.
const REPLAY_BYTES: usize = 1 << 20;
/// Most bytes that a batch of an internal topic may inflate to.
const REPLAY_INFLATED: usize = 256 << 20;

/// What a replay meets.
#[derive(Debug)]
pub enum Replayed<'r> {
    /// A record.
    Record {
        /// The record.
        record: Record<'r>,
        /// Producer id and epoch of the transaction it is in; `None` outside of transactions.
        producer: Option<(i64, i16)>,
    },
    /// The end of a producer's transaction.
    Marker {
        /// The producer.
        producer_id: i64,
        /// The marker's epoch.
        epoch: i16,
        /// Whether it was committed; otherwise it was aborted.
        commit: bool,
    },
}

impl Partition {
    /// Plans what a consumer at `from` gets, below the marks that it is told: whole batches of at most `max_bytes`, the first one whole whatever its
    /// size with `at_least_one`; empty at the high watermark, with `committed` at the last stable offset.
    ///
    /// # Errors
    /// `OffsetOutOfRange` below the log start and above the log end; damage; a failing disk.
    pub fn plan(
        &self,
        marks: &Marks,
        from: i64,
        max_bytes: usize,
        at_least_one: bool,
        committed: bool,
    ) -> Result<Option<ReadPlan>, StorageError> {
        if from < marks.log_start || from > marks.log_end.0 {
            let range = marks.log_start..marks.log_end.0;
            return Err(StorageError::OffsetOutOfRange { offset: from, range });
        }
        let upto = marks.end(committed);
        if from >= upto || (max_bytes == 0 && !at_least_one) {
            return Ok(None);
        }
        let plan = self.log.plan(from, max_bytes, upto, at_least_one)?;
        Ok((plan.len > 0).then_some(plan))
    }

    /// The aborted transactions that a consumer at read_committed must know to read what was planned from `from` on.
    ///
    /// # Errors
    /// A failing disk.
    pub fn aborted(&self, from: i64, plan: &ReadPlan) -> Result<Vec<AbortedTxn>, StorageError> {
        self.log.aborted(from, plan.end)
    }

    /// The first visible record at or after `timestamp` ms; with `committed` below the last stable offset.
    ///
    /// # Errors
    /// A failing disk.
    pub fn lookup_time(&self, timestamp: i64, committed: bool) -> Result<Option<TimedOffset>, StorageError> {
        self.log.lookup_time(timestamp, self.marks().end(committed))
    }

    /// The visible record with the largest timestamp; with `committed` below the last stable offset.
    ///
    /// # Errors
    /// A failing disk.
    pub fn max_timestamp(&self, committed: bool) -> Result<Option<TimedOffset>, StorageError> {
        self.log.max_timestamp(self.marks().end(committed))
    }

    /// Reads every record from the log's start to its end, in order, damaged ranges aside; control batches are left
    /// out. Blocking.
    ///
    /// # Errors
    /// A failing disk.
    pub fn replay(&self, each: &mut dyn FnMut(Record<'_>)) -> Result<(), BrokerError> {
        replay(&self.log, true, each)
    }

    /// As [`Partition::replay`], with the transactions that records are in and the markers that end those.
    ///
    /// # Errors
    /// A failing disk.
    pub fn replay_all(&self, each: &mut dyn FnMut(Replayed<'_>)) -> Result<(), BrokerError> {
        replay_log(&self.log, true, each)
    }
}

/// Reads every record of `log`, in order, control batches aside. Damaged ranges are passed over with `lenient`, else
/// an error.
pub(in crate::broker) fn replay(
    log: &Log,
    lenient: bool,
    each: &mut dyn FnMut(Record<'_>),
) -> Result<(), BrokerError> {
    replay_log(log, lenient, &mut |replayed| {
        if let Replayed::Record { record, .. } = replayed {
            each(record);
        }
    })
}

fn replay_log(log: &Log, lenient: bool, each: &mut dyn FnMut(Replayed<'_>)) -> Result<(), BrokerError> {
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
    each: &mut dyn FnMut(Replayed<'_>),
) -> Result<i64, BrokerError> {
    let mut next = from;
    while let Some((batch, rest)) = Batch::split_first(bytes)? {
        let header = batch.header();
        let producer = header.is_transactional().then_some((header.producer_id, header.producer_epoch));
        for record in inflate.records(&batch, REPLAY_INFLATED)? {
            let record = record?;
            if record.offset < from {
                continue;
            }
            if !header.is_control() {
                each(Replayed::Record { record, producer });
                continue;
            }
            let commit = match ControlMarker::of(&record) {
                Some(ControlMarker::Commit { .. }) => true,
                Some(ControlMarker::Abort { .. }) => false,
                Some(ControlMarker::Other(_)) | None => continue,
            };
            let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
            each(Replayed::Marker { producer_id, epoch, commit });
        }
        next = batch.last_offset().saturating_add(1);
        bytes = rest;
    }
    Ok(next)
}
