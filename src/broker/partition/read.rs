//! Reading a partition: plans of file ranges for consumers, and whole replays for the broker's own state; a plan never
//! reaches beyond the high watermark.

use super::Partition;
use crate::broker::BrokerError;
use crate::broker::marks::Marks;
use crate::record::{Batch, BatchHeader, ControlMarker, Decompressor, Record, RecordError, Records};
use crate::storage::log::TimedOffset;
use crate::storage::{AbortedTxn, Log, ReadPlan, StorageError, Swept};

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
    /// Bytes that are not as they were written: nothing of them is believed.
    Lost {
        /// The first offset that can not be read.
        from: i64,
        /// Where reading goes on; above `from`.
        to: i64,
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

    /// Reads every record from the log's start to its end, in order, with the transactions that records are in and the
    /// markers that end those. A batch is checked whole, CRC and records, before any of it is given; one that is not as it
    /// was written is told of and passed over. Blocking.
    ///
    /// # Errors
    /// A failing disk.
    pub fn replay(&self, each: &mut dyn FnMut(Replayed<'_>)) -> Result<(), BrokerError> {
        sweep(&self.log, &mut |replayed| {
            each(replayed);
            true
        })
    }
}

/// Reads every record of `log` as [`Partition::replay`] does, control batches aside; stops at the first batch that is not
/// as it was written.
///
/// # Errors
/// `Damaged` (in [`BrokerError::Storage`]), with the offsets that can not be read; a failing disk.
pub(in crate::broker) fn replay_strictly(
    log: &Log,
    each: &mut dyn FnMut(Record<'_>),
) -> Result<(), BrokerError> {
    let mut lost = None;
    sweep(log, &mut |replayed| {
        match replayed {
            Replayed::Record { record, .. } => each(record),
            Replayed::Marker { .. } => {}
            Replayed::Lost { from, to } => lost = Some(from..to),
        }
        lost.is_none()
    })?;
    match lost {
        Some(range) => Err(StorageError::Damaged { log: log.partition().to_string(), range }.into()),
        None => Ok(()),
    }
}

/// Gives what the log holds to `each` until that says `false`.
fn sweep(log: &Log, each: &mut dyn FnMut(Replayed<'_>) -> bool) -> Result<(), BrokerError> {
    let start = log.log_start();
    let mut inflate = Decompressor::new();
    log.sweep(&mut |swept| match swept {
        Swept::Bad { from, to } => each(Replayed::Lost { from, to }),
        Swept::Batch(batch) => match whole(&batch, &mut inflate) {
            Ok(records) => give(&batch.header(), records, start, each),
            // The CRC is as it was written, so its writer was wrong, or this reader is.
            Err(_) => {
                let header = batch.header();
                each(Replayed::Lost { from: header.base_offset, to: header.next_offset() })
            }
        },
    })?;
    Ok(())
}

/// The records of a batch, every one of which can be read.
fn whole<'d>(batch: &Batch<'d>, inflate: &'d mut Decompressor) -> Result<Records<'d>, RecordError> {
    let records = inflate.records(batch, REPLAY_INFLATED)?;
    records.clone().try_for_each(|record| record.map(drop))?;
    Ok(records)
}

fn give(
    header: &BatchHeader,
    records: Records<'_>,
    start: i64,
    each: &mut dyn FnMut(Replayed<'_>) -> bool,
) -> bool {
    let producer = header.is_transactional().then_some((header.producer_id, header.producer_epoch));
    for record in records.flatten().filter(|record| record.offset >= start) {
        let replayed = if !header.is_control() {
            Replayed::Record { record, producer }
        } else {
            let commit = match ControlMarker::of(&record) {
                Some(ControlMarker::Commit { .. }) => true,
                Some(ControlMarker::Abort { .. }) => false,
                Some(ControlMarker::Other(_)) | None => continue,
            };
            let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
            Replayed::Marker { producer_id, epoch, commit }
        };
        if !each(replayed) {
            return false;
        }
    }
    true
}
