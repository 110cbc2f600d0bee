//! What transactions ask of a partition: guards for their first batch, markers, and batches of the broker's own within
//! them; it decides nothing about a transaction, its coordinator does.

use std::collections::HashMap;
use std::sync::Arc;

use super::{InternalRecord, Partition, internal_batch};
use crate::broker::BrokerError;
use crate::record::{ControlMarker, ProducerStamp, end_transaction_batch};
use crate::storage::{ActiveProducer, Appended, Guard, Origin};

impl Partition {
    /// Begins the check of a producer's transaction with its coordinator, before the batch with this first sequence: the
    /// guard lets that batch begin the transaction here ([`Partition::append_client`]). `None`: it is under way, and nothing
    /// has to be verified. May load the log.
    ///
    /// # Errors
    /// A failing or closed log; the topic was deleted.
    pub fn begin_verification(
        &self,
        producer_id: i64,
        epoch: i16,
        base_sequence: i32,
    ) -> Result<Option<Guard>, BrokerError> {
        if self.is_gone() {
            return Err(BrokerError::UnknownPartition);
        }
        Ok(self.log.begin_verification(producer_id, epoch, base_sequence)?)
    }

    /// The coordinator refused the transaction that the guard was for, for good.
    pub fn end_verification(&self, producer_id: i64, epoch: i16, guard: Guard) {
        self.log.end_verification(producer_id, epoch, guard);
    }

    /// Appends the marker that ends a producer's transaction, also where none is under way; durable once
    /// [`Partition::synced`] of its offset answers. `transaction_version` is that of who decided it: from 2 on the marker's
    /// epoch lies above the transaction's.
    ///
    /// # Errors
    /// `ProducerFenced`, `CoordinatorFenced` (in [`BrokerError::Storage`]); a failing or closed log; the topic was deleted.
    pub fn append_marker(
        self: &Arc<Self>,
        producer_id: i64,
        producer_epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
        transaction_version: i16,
        now_ms: i64,
    ) -> Result<Appended, BrokerError> {
        if self.is_gone() {
            return Err(BrokerError::UnknownPartition);
        }
        let marker = match commit {
            true => ControlMarker::Commit { coordinator_epoch },
            false => ControlMarker::Abort { coordinator_epoch },
        };
        let bytes = end_transaction_batch(producer_id, producer_epoch, marker, now_ms)?;
        let append_time = self.settings().log_append_time.then_some(now_ms);
        self.append_built(&bytes, append_time, Origin::Marker { transaction_version })
    }

    /// What the log remembers of a producer. May load the log.
    ///
    /// # Errors
    /// Those of loading.
    pub fn producer(&self, producer_id: i64) -> Result<Option<ActiveProducer>, BrokerError> {
        Ok(self.log.active_producers()?.into_iter().find(|producer| producer.producer_id == producer_id))
    }

    /// The producers whose transactions are under way in the log, with the first offset of each. May load the log.
    ///
    /// # Errors
    /// Those of loading.
    pub fn open_transactions(&self) -> Result<HashMap<i64, i64>, BrokerError> {
        let producers = self.log.active_producers()?.into_iter();
        let open = producers.filter(|producer| producer.transaction_from >= 0);
        Ok(open.map(|producer| (producer.producer_id, producer.transaction_from)).collect())
    }

    /// As [`Partition::append_internal`], within a producer's transaction: the records count once that is committed.
    ///
    /// # Errors
    /// `ProducerFenced` (in [`BrokerError::Storage`]): the epoch is an older one; a failing or closed log.
    pub fn append_internal_in_txn(
        self: &Arc<Self>,
        records: &[InternalRecord],
        producer_id: i64,
        producer_epoch: i16,
        now_ms: i64,
    ) -> Result<Appended, BrokerError> {
        let stamp =
            ProducerStamp { id: producer_id, epoch: producer_epoch, base_sequence: -1, transactional: true };
        let bytes = internal_batch(records, stamp, now_ms)?;
        self.append_built(&bytes, None, Origin::Coordinator)
    }
}
