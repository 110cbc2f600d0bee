//! STAND-IN until the coordinator is merged: just what group offsets within transactions call. It must not outlive that.

use std::sync::Arc;

use super::Broker;
use crate::model::id::TopicPartition;

/// Why a transaction says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// No such transaction.
    #[error("transactions are not served here")]
    NotServed,
}

/// The transactions of a node.
#[derive(Debug, Default)]
pub struct Transactions;

impl Transactions {
    /// Brings partitions into a transaction.
    ///
    /// # Errors
    /// Always.
    pub async fn add_partitions(
        &self,
        _broker: &Arc<Broker>,
        _id: &str,
        _producer_id: i64,
        _epoch: i16,
        _partitions: Vec<TopicPartition>,
    ) -> Result<(), TxnError> {
        Err(TxnError::NotServed)
    }

    /// Whether a partition is in a transaction under way.
    ///
    /// # Errors
    /// Always.
    pub async fn verify(
        &self,
        _broker: &Arc<Broker>,
        _id: &str,
        _producer_id: i64,
        _epoch: i16,
        _partition: &TopicPartition,
    ) -> Result<(), TxnError> {
        Err(TxnError::NotServed)
    }
}
