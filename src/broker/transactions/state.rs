//! What is kept of a transactional id, and its record in `__transaction_state`; a fold over these records is all the
//! durable state there is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::model::id::TopicPartition;
use crate::model::txn::STATES;
use crate::schema::SchemaError;
use crate::schema::transactions::{TransactionLogKey, TransactionLogValue, TransactionPartitions};

use super::request::Producer;

/// The largest epoch. A client never gets it, so that whoever has one less can still be fenced.
pub(super) const MAX_EPOCH: i16 = i16::MAX;

/// Where a transactional id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// No transaction was begun with this epoch.
    Empty,
    /// A transaction is under way.
    Ongoing,
    /// It is decided that it is committed; the markers are being written.
    PrepareCommit,
    /// It is decided that it is aborted; the markers are being written.
    PrepareAbort,
    /// It is committed.
    CompleteCommit,
    /// It is aborted.
    CompleteAbort,
}

impl Status {
    const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's name of the state.
    pub fn name(self) -> &'static str {
        STATES[self as usize]
    }

    /// Whether Kafka knows a state of that name.
    pub fn is_name(name: &str) -> bool {
        STATES.contains(&name)
    }

    /// Whether the end is decided and its markers are being written.
    pub fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    fn code(self) -> i8 {
        self as i8
    }

    fn of(code: i8) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at)).copied()
    }
}

/// A transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transaction {
    /// The producer; its epoch is -1 before the first was given out.
    pub(super) producer: Producer,
    /// The producer id before the last change of this state, -1 for none.
    pub(super) previous_id: i64,
    /// The producer id it gets when the end under way is complete, -1 if it keeps its own.
    pub(super) next_id: i64,
    /// The epoch before, where the producer itself asked for a new one; else -1. As in Kafka it is not stored: a retry
    /// that spans a restart is fenced.
    pub(super) last_epoch: i16,
    /// How long a transaction may take, in ms.
    pub(super) timeout_ms: i32,
    /// Where it stands.
    pub(super) status: Status,
    /// The partitions taking part.
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// When it last changed: ms since 1970.
    pub(super) updated_ms: i64,
    /// When the transaction, or the one before, began: ms since 1970, -1 for none since the producer did.
    pub(super) started_ms: i64,
    /// The transaction version of the client that changed it last.
    pub(super) client_version: i16,
}

impl Transaction {
    /// Whether the producer can get no further epoch: the last one is kept for fencing it.
    pub(super) fn is_exhausted(&self) -> bool {
        is_exhausted(self.producer.epoch)
    }

    /// The same, about to change: what was its producer id is the previous one.
    pub(super) fn next(&self, status: Status, now_ms: i64) -> Self {
        Self { status, updated_ms: now_ms, previous_id: self.producer.id, ..self.clone() }
    }
}

/// Whether nobody gets an epoch after this one.
pub(super) fn is_exhausted(epoch: i16) -> bool {
    epoch >= MAX_EPOCH - 1
}

/// One record of `__transaction_state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TxnRecord {
    /// The transactional id.
    pub(super) id: Arc<str>,
    /// How it stands now; `None` takes it away.
    pub(super) value: Option<Transaction>,
}

impl TxnRecord {
    /// The record's key and value as they are stored; no value is a tombstone. `level` is that of `transaction.version`:
    /// at 0 what newer ones added is left out.
    pub(super) fn encode(&self, level: i16) -> Result<(Bytes, Option<Bytes>), SchemaError> {
        let key = TransactionLogKey { transactional_id: self.id.to_string() }.encode()?;
        let value = match &self.value {
            Some(value) => Some(stored(value, level).encode(i16::from(level > 0))?),
            None => None,
        };
        Ok((key, value))
    }

    /// Reads a stored record; `None` for kinds and states this build does not know.
    pub(super) fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<Self>, SchemaError> {
        let Some(key) = TransactionLogKey::decode(key)? else { return Ok(None) };
        let id = key.transactional_id.into();
        let Some(value) = value.map(TransactionLogValue::decode).transpose()? else {
            return Ok(Some(Self { id, value: None }));
        };
        Ok(kept(value).map(|value| Self { id, value: Some(value) }))
    }
}

fn stored(kept: &Transaction, level: i16) -> TransactionLogValue {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in &kept.partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics
        .into_iter()
        .map(|(topic, partition_ids)| TransactionPartitions { topic: topic.to_owned(), partition_ids });
    let (previous, next, version) =
        if level > 0 { (kept.previous_id, kept.next_id, kept.client_version) } else { (-1, -1, 0) };
    TransactionLogValue {
        producer_id: kept.producer.id,
        previous_producer_id: previous,
        next_producer_id: next,
        producer_epoch: kept.producer.epoch,
        next_producer_epoch: -1,
        transaction_timeout_ms: kept.timeout_ms,
        transaction_status: kept.status.code(),
        transaction_partitions: (kept.status != Status::Empty).then(|| topics.collect()),
        transaction_last_update_timestamp_ms: kept.updated_ms,
        transaction_start_timestamp_ms: kept.started_ms,
        client_transaction_version: version,
    }
}

fn kept(value: TransactionLogValue) -> Option<Transaction> {
    let topics = value.transaction_partitions.unwrap_or_default();
    let partitions = topics.into_iter().flat_map(|TransactionPartitions { topic, partition_ids }| {
        let topic: Arc<str> = topic.into();
        partition_ids.into_iter().map(move |partition| TopicPartition::new(Arc::clone(&topic), partition))
    });
    Some(Transaction {
        producer: Producer { id: value.producer_id, epoch: value.producer_epoch },
        previous_id: value.previous_producer_id,
        next_id: value.next_producer_id,
        last_epoch: -1,
        timeout_ms: value.transaction_timeout_ms,
        status: Status::of(value.transaction_status)?,
        partitions: partitions.collect(),
        updated_ms: value.transaction_last_update_timestamp_ms,
        started_ms: value.transaction_start_timestamp_ms,
        client_version: value.client_transaction_version,
    })
}
