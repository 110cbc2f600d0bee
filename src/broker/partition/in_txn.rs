//! STAND-IN until the log's own part is merged: what a coordinator appends within transactions, and replays of it.
//! It must not outlive that merge.

use std::sync::Arc;

use super::{InternalRecord, Partition};
use crate::broker::BrokerError;
use crate::record::{
    Batch, BatchBuilder, BatchSummary, ControlMarker, Decompressor, ProducerStamp, Record,
    end_transaction_batch,
};
use crate::storage::disk::read_exact_at;
use crate::storage::{Appended, StorageError};

/// What a replay meets.
pub enum Replayed<'a> {
    /// A record; of a transactional batch with its producer's id and epoch.
    Record {
        /// The record.
        record: Record<'a>,
        /// Producer id and epoch, of a transactional batch alone.
        producer: Option<(i64, i16)>,
    },
    /// The end of a transaction.
    Marker {
        /// The producer.
        producer_id: i64,
        /// Its epoch.
        epoch: i16,
        /// Committed, or aborted.
        commit: bool,
    },
}

impl Partition {
    /// As [`Partition::append_internal`], within a producer's transaction.
    ///
    /// # Errors
    /// A failing or closed log.
    pub fn append_internal_in_txn(
        self: &Arc<Self>,
        records: &[InternalRecord],
        producer_id: i64,
        producer_epoch: i16,
        now_ms: i64,
    ) -> Result<Appended, BrokerError> {
        let mut builder = BatchBuilder::new();
        for record in records {
            builder.push(now_ms, record.key.as_deref(), record.value.as_deref(), &[]);
        }
        let stamp =
            ProducerStamp { id: producer_id, epoch: producer_epoch, base_sequence: -1, transactional: true };
        let bytes = builder.finish_plain(stamp)?;
        let summary = BatchSummary::trusted(&Batch::exactly(&bytes)?);
        self.append(&bytes, &summary, None)
    }

    /// Ends a producer's transaction here.
    ///
    /// # Errors
    /// A failing or closed log.
    pub fn append_marker(
        self: &Arc<Self>,
        producer_id: i64,
        producer_epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
        _transaction_version: i16,
        now_ms: i64,
    ) -> Result<Appended, BrokerError> {
        let marker = if commit {
            ControlMarker::Commit { coordinator_epoch }
        } else {
            ControlMarker::Abort { coordinator_epoch }
        };
        let bytes = end_transaction_batch(producer_id, producer_epoch, marker, now_ms)?;
        let summary = BatchSummary::trusted(&Batch::exactly(&bytes)?);
        self.append(&bytes, &summary, None)
    }

    /// As [`Partition::replay`], markers too.
    ///
    /// # Errors
    /// A failing disk.
    pub fn replay_all(&self, each: &mut dyn FnMut(Replayed<'_>)) -> Result<(), BrokerError> {
        let (mut from, end) = (self.log.log_start(), self.log.log_end());
        let mut inflate = Decompressor::new();
        while from < end {
            let plan = self.log.plan(from, 1 << 20, end, true)?;
            let mut buffer = vec![0; plan.len];
            read_exact_at(&*plan.file, &mut buffer, plan.position)
                .map_err(StorageError::io("reading", std::path::Path::new("")))?;
            let mut bytes = &buffer[..];
            while let Some((batch, rest)) = Batch::split_first(bytes)? {
                let header = batch.header();
                for record in inflate.records(&batch, 256 << 20)? {
                    let record = record?;
                    if !header.is_control() {
                        let producer = (header.producer_id, header.producer_epoch);
                        each(Replayed::Record {
                            record,
                            producer: header.is_transactional().then_some(producer),
                        });
                        continue;
                    }
                    let commit = matches!(ControlMarker::of(&record), Some(ControlMarker::Commit { .. }));
                    each(Replayed::Marker {
                        producer_id: header.producer_id,
                        epoch: header.producer_epoch,
                        commit,
                    });
                }
                from = header.last_offset() + 1;
                bytes = rest;
            }
        }
        Ok(())
    }
}
