//! The end of a transaction that is decided: markers into every partition that takes part, then the record that says
//! so; no marker is written before the decision is on disk, and none is left out because a log fails for a while.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::groups::{self, request::GroupError};
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
        if shard.is_failed() {
            // That they are written can not be noted: each reading of the shard would lead to the same markers again.
            shard.lose();
            return;
        }
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
    load(broker, &partition).await;
    let (producer, commit) = (transaction.producer, transaction.status == Status::PrepareCommit);
    let (epoch, version) = (shard.coordinator_epoch(), transaction.client_version);
    let time = groups::now(&**broker.clock());
    let appended = if &*id.topic == CONSUMER_OFFSETS {
        let ending = match broker.groups().ending(broker, id.partition).await {
            Ok(ending) => ending,
            Err(error) => {
                tracing::warn!(partition = %id, %error, "the end of a transaction can not be written yet");
                return Written::Failed;
            }
        };
        let append = || ending.append(producer.id, producer.epoch, commit, epoch, version, time);
        shard.write(append).map(|done| done.map_err(|error| (of_group(error), error.to_string())))
    } else {
        let append =
            || partition.append_marker(producer.id, producer.epoch, commit, epoch, version, time.wall_ms);
        let appended = shard.write(append).map(|done| done.map(|appended| appended.last_offset));
        appended.map(|done| done.map_err(|error| (of_log(&error), error.to_string())))
    };
    let (refusal, error) = match appended {
        Some(Ok(offset)) => return Written::At(partition, offset),
        Some(Err(refused)) => refused,
        None => return Written::Failed,
    };
    match refusal {
        Refusal::Producer => {
            tracing::warn!(partition = %id, %error, "the partition knows a later epoch than the transaction's");
            Written::Needless
        }
        Refusal::Coordinator if !is_open(&partition, producer.id) => {
            tracing::warn!(partition = %id, %error, "the partition knows a later coordinator, and nothing to end");
            Written::Needless
        }
        Refusal::Coordinator | Refusal::NotNow => {
            tracing::warn!(partition = %id, %error, "the end of a transaction can not be written yet");
            Written::Failed
        }
    }
}

/// Why a marker was not appended.
enum Refusal {
    /// The log has seen the producer with a later epoch: the transaction was ended there.
    Producer,
    /// The log has seen a marker of a later coordinator, which need not have ended this transaction.
    Coordinator,
    /// What may pass.
    NotNow,
}

fn of_group(error: GroupError) -> Refusal {
    match error {
        GroupError::ProducerFenced => Refusal::Producer,
        GroupError::CoordinatorFenced => Refusal::Coordinator,
        _ => Refusal::NotNow,
    }
}

fn of_log(error: &BrokerError) -> Refusal {
    let BrokerError::Storage(error) = error else { return Refusal::NotNow };
    match **error {
        StorageError::ProducerFenced { .. } => Refusal::Producer,
        StorageError::CoordinatorFenced { .. } => Refusal::Coordinator,
        _ => Refusal::NotNow,
    }
}

/// Whether the producer has a transaction under way in the partition, as far as that can be found out.
fn is_open(partition: &Partition, producer_id: i64) -> bool {
    let known = partition.producer(producer_id);
    known.map_or(true, |known| known.is_some_and(|known| known.transaction_from >= 0))
}

/// Reads a log that nobody has used since the start: not while other markers wait for this one.
async fn load(broker: &Arc<Broker>, partition: &Partition) {
    if partition.log().size_if_loaded().is_none() {
        let log = Arc::clone(partition.log());
        // A log that can not be read refuses the marker.
        let _ = broker.blocking(move |_| log.size()).await;
    }
}

/// Waits for the end of an id's transaction, if one is under way, up to `patience`.
pub(super) async fn wait_for(shard: &Shard, id: &str, patience: Duration) {
    // Who is out of patience learns it from the state.
    let _ = tokio::time::timeout(patience, shard.settled(id)).await;
}
