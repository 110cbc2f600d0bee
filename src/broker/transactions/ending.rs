//! The end of a transaction that is decided: markers into every partition that takes part, then the record that says
//! so; no marker is written before the decision is on disk, and none is left out because a log fails for a while.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::groups::request::GroupError;
use crate::broker::{Broker, BrokerError, Partition};
use crate::model::id::TopicPartition;
use crate::model::name::CONSUMER_OFFSETS;
use crate::storage::StorageError;

use super::decide::Decision;
use super::moment;
use super::shard::Shard;
use super::state::{Status, Transaction};

/// The pauses between two tries at what failed: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Holds an id while its markers are written. A task may be dropped at any await: another then takes over.
struct Attending {
    shard: Arc<Shard>,
    id: Arc<str>,
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.shard.left_alone(&self.id);
    }
}

/// Starts writing an id's markers, unless someone does; they begin once `offset` is durable.
pub(super) fn begin(broker: &Arc<Broker>, shard: &Arc<Shard>, id: Arc<str>, offset: i64) {
    if shard.attend(&id) {
        let attending = Attending { shard: Arc::clone(shard), id };
        tokio::spawn(end(Arc::clone(broker), attending, offset));
    }
}

async fn end(broker: Arc<Broker>, attending: Attending, offset: i64) {
    let Attending { shard, id } = &attending;
    if shard.durable(offset).await.is_err() {
        return;
    }
    let Ok((Some(transaction), _)) = shard.read(|core| core.all.get(id).cloned()) else { return };
    if !transaction.status.is_prepared() {
        return;
    }
    let mut left: Vec<_> = transaction.partitions.iter().cloned().collect();
    let mut pause = PAUSES.0;
    loop {
        left = write_all(&broker, shard, &transaction, left).await;
        if left.is_empty() {
            let at = moment(&broker);
            let producer = transaction.producer;
            let complete = |core: &super::core::Core| Ok(Decision::Done((), core.complete(id, producer, at)));
            if shard.act(at, complete).is_ok() || shard.is_lost() {
                return;
            }
        }
        if shard.is_lost() || broker.is_closing() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = broker.closed() => return,
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// A marker that was appended.
enum Written {
    /// It holds once what is at the offset is on disk there.
    At(Arc<Partition>, i64),
    /// None is needed: the partition is no more, or knows a later epoch.
    Needless,
    /// Not now.
    Failed,
}

/// Writes a marker into each partition and waits for the disk; answers those where it did not get there.
async fn write_all(
    broker: &Arc<Broker>,
    shard: &Shard,
    transaction: &Transaction,
    partitions: Vec<TopicPartition>,
) -> Vec<TopicPartition> {
    let mut waiting = Vec::with_capacity(partitions.len());
    let mut failed = Vec::new();
    for id in partitions {
        match write(broker, shard, transaction, &id).await {
            Written::At(partition, offset) => waiting.push((id, partition, offset)),
            Written::Needless => {}
            Written::Failed => failed.push(id),
        }
    }
    for (id, partition, offset) in waiting {
        // On disk also where the topic is not synced: a power cut that took the marker back behind a record that says that
        // all is done would leave the transaction open for ever.
        if let Err(error) = partition.synced(offset).await {
            tracing::warn!(partition = %id, %error, "the end of a transaction is not on disk yet");
            failed.push(id);
        }
    }
    failed
}

async fn write(
    broker: &Arc<Broker>,
    shard: &Shard,
    transaction: &Transaction,
    id: &TopicPartition,
) -> Written {
    // Looked up before the broker is asked whether it closes: what a closing broker refuses is not gone.
    let there = broker.topic(&id.topic).is_some_and(|topic| topic.has(id.partition));
    if !there {
        return if broker.is_closing() { Written::Failed } else { Written::Needless };
    }
    let Some(partition) = broker.partition(&id.topic, id.partition) else { return Written::Failed };
    let (producer, commit) = (transaction.producer, transaction.status == Status::PrepareCommit);
    let (epoch, version) = (shard.coordinator_epoch(), transaction.client_version);
    if &*id.topic == CONSUMER_OFFSETS {
        if shard.is_lost() {
            return Written::Failed;
        }
        let ended = broker
            .groups()
            .end_transaction(broker, id.partition, producer.id, producer.epoch, commit, epoch, version)
            .await;
        return match ended {
            Ok(offset) => Written::At(partition, offset),
            Err(GroupError::ProducerFenced | GroupError::CoordinatorFenced) => Written::Needless,
            Err(error) => {
                tracing::warn!(partition = %id, %error, "the end of a transaction can not be written yet");
                Written::Failed
            }
        };
    }
    let now = broker.clock().wall_ms();
    let appended =
        shard.write(|| partition.append_marker(producer.id, producer.epoch, commit, epoch, version, now));
    match appended {
        Some(Ok(appended)) => Written::At(partition, appended.last_offset),
        Some(Err(error)) if is_passed(&error) => {
            tracing::warn!(partition = %id, %error, "the partition knows a later epoch than the transaction's");
            Written::Needless
        }
        Some(Err(error)) => {
            tracing::warn!(partition = %id, %error, "the end of a transaction can not be written yet");
            Written::Failed
        }
        None => Written::Failed,
    }
}

/// Whether the log has seen the producer with a later epoch, or the coordinator: the transaction was ended there.
fn is_passed(error: &BrokerError) -> bool {
    let BrokerError::Storage(error) = error else { return false };
    matches!(**error, StorageError::ProducerFenced { .. } | StorageError::CoordinatorFenced { .. })
}

/// Waits for the end of an id's transaction, if one is under way, up to `patience`.
pub(super) async fn wait_for(shard: &Shard, id: &str, patience: Duration) {
    // Who is out of patience learns it from the state.
    let _ = tokio::time::timeout(patience, shard.settled(id)).await;
}
