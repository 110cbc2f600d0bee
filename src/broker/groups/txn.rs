//! The shell's part for offsets within transactions: finds the shard, asks the transaction's coordinator, waits for the
//! disk; it decides nothing about groups.

use std::sync::Arc;

use super::commit::Results;
use super::request::{GroupError, InTransaction, NewOffset, Now, Sender};
use super::shard::{Marker, Shard};
use super::{Groups, now, shard_of};
use crate::broker::Broker;
use crate::broker::transactions::request::TxnError;
use crate::model::id::TopicPartition;
use crate::model::name::CONSUMER_OFFSETS;

/// Why offsets were not kept for the end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxnCommitError {
    /// The group refused.
    #[error("{0}")]
    Group(#[from] GroupError),
    /// The transaction's coordinator did.
    #[error("{0}")]
    Transaction(#[from] TxnError),
}

impl Groups {
    /// The partition of `__consumer_offsets` that holds the group's offsets; the topic is made if it is not there.
    ///
    /// # Errors
    /// [`GroupError::NotAvailable`] where it can not be made.
    pub async fn partition_of(
        &self,
        broker: &Arc<Broker>,
        group: &str,
    ) -> Result<TopicPartition, GroupError> {
        let count = self.count(broker).await?;
        Ok(TopicPartition::new(CONSUMER_OFFSETS, shard_of(group, count)))
    }

    /// Keeps offsets for the end of a transaction, which the group's partition must be in, or is brought into
    /// ([`InTransaction::adds`]): one result each, in their order, once they are on disk.
    ///
    /// # Errors
    /// The coordinator's refusal; [`GroupError::NotInTransaction`] where the transaction ended while this was on its
    /// way; a member that is not in the group, or not in its generation.
    pub async fn commit_in_txn(
        &self,
        broker: &Arc<Broker>,
        group: &Arc<str>,
        from: Sender<'_>,
        transaction: &InTransaction,
        offsets: Vec<NewOffset>,
    ) -> Result<Vec<Result<(), GroupError>>, TxnCommitError> {
        let at = self.partition_of(broker, group).await?;
        let shard = self.load(broker, at.partition).await?;
        let InTransaction { id, producer_id, epoch, adds } = transaction;
        if *adds && !shard.is_in_txn(*producer_id, *epoch) {
            // Before the look-up below, which a marker undoes: this may wait for the end of the transaction before.
            let partitions = vec![at.clone()];
            broker.transactions().add_partitions(broker, id, *producer_id, *epoch, partitions).await?;
        }
        let verified = shard.verify(*producer_id, *epoch);
        let asks = *adds || broker.settings().flag("transaction.partition.verification.enable");
        if verified.is_some() && asks {
            broker.transactions().verify(broker, id, *producer_id, *epoch, &at).await?;
        }
        let (time, producer) = (now(&**broker.clock()), (*producer_id, *epoch));
        let (results, offset): (Results, i64) =
            shard.act_in_txn(time, producer, verified.as_ref(), |core| {
                core.commit_in_txn(group, from, producer, offsets, time)
            })?;
        drop(verified);
        self.look_ahead(&shard);
        shard.durable(offset).await?;
        Ok(results?)
    }

    /// Appends the marker that ends a producer's transaction in partition `index` of `__consumer_offsets`: with a
    /// commit its offsets count from then on, else they are gone. Answers the marker's offset; it survives a power cut
    /// once [`crate::broker::Partition::durable`] of it answers.
    ///
    /// # Errors
    /// [`GroupError::ProducerFenced`] for an epoch that a later one has replaced; [`GroupError::NotCoordinator`] and
    /// [`GroupError::NotAvailable`] where the partition can not be written (yet).
    #[allow(clippy::too_many_arguments)]
    pub async fn end_transaction(
        &self,
        broker: &Arc<Broker>,
        index: i32,
        producer_id: i64,
        epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
        transaction_version: i16,
    ) -> Result<i64, GroupError> {
        let ending = self.ending(broker, index).await?;
        let time = now(&**broker.clock());
        ending.append(producer_id, epoch, commit, coordinator_epoch, transaction_version, time)
    }

    /// [`Groups::end_transaction`] up to where it waits no more: for who must not append when something else happened
    /// meanwhile.
    ///
    /// # Errors
    /// [`GroupError::NotCoordinator`] and [`GroupError::NotAvailable`] where the partition can not be read (yet).
    pub async fn ending(&self, broker: &Arc<Broker>, index: i32) -> Result<Ending, GroupError> {
        Ok(Ending(self.load(broker, index).await?))
    }
}

/// A partition of `__consumer_offsets` in which a transaction is about to end.
pub struct Ending(Arc<Shard>);

impl Ending {
    /// Appends the marker; its offset.
    ///
    /// # Errors
    /// As [`Groups::end_transaction`].
    pub fn append(
        &self,
        producer_id: i64,
        epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
        transaction_version: i16,
        time: Now,
    ) -> Result<i64, GroupError> {
        let marker = Marker { producer_id, epoch, commit, coordinator_epoch, transaction_version };
        self.0.end_transaction(marker, time)
    }
}
